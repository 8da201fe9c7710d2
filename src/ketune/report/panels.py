"""The measured runs as the statistics take them: a panel of all methods for each metric."""

from collections.abc import Collection, Iterable, Mapping

import pandas as pd

from ketune import methods, metrics
from ketune.ground.params import Params
from ketune.report.results import Results
from ketune.statistics import Measure, Panel
from ketune.statistics.moderation import FEWEST


def measure(results: Results, method: str, metric: str, chosen: Iterable[int] | None = None) -> Measure:
    """A metric of a method; with `chosen`, over these rows of its predictions only."""
    found = metrics.named(metric)
    sums = results.sums(method, metric)
    if chosen is not None:
        sums = sums[:, list(chosen)]
    return Measure(sums, found.total, found.lower_is_better)


MARGIN = "what two runs of a typical method differ by, drawn angles and maps apart"
"""What the margin is, within which methods count as comparable, to follow "within ±0.01"."""


def panel(results: Results, metric: str, chosen: Iterable[int] | None = None) -> Panel:
    """A metric of all methods; with `chosen`, over these references only."""
    measures = {method: measure(results, method, metric, chosen) for method in results.methods}
    return Panel(measures, apart(results.methods), lending(results.settings))


def apart(names: Collection[str]) -> list[str]:
    """The methods whose seed also draws something that training keeps."""
    return [name for name in names if methods.declared(name).draws]


def lending(settings: Params) -> list[str] | None:
    """The listed methods of the declared comparisons and their controls, which tell how far runs differ over seeds.

    So a word on what was declared does not depend on which others join. None, for all that are listed, where fewer
    than three of those can tell: that are trained and keep nothing that a seed draws.
    """
    declared = methods.with_controls(*{side for one in settings.contrasts for side in (one.method, one.other)})
    found = [method for method in settings.methods if method in declared]
    telling = [method for method in found if methods.declared(method).rates and not methods.declared(method).draws]
    return found if len(telling) >= FEWEST else None


def intervals(results: Results, panels: Mapping[str, Panel]) -> pd.DataFrame:
    """(method, metric) → value, low, high."""
    index = pd.MultiIndex.from_product([results.methods, panels], names=["method", "metric"])
    found = [panels[key].estimate(method).interval(results.settings.report.confidence) for method, key in index]
    return pd.DataFrame(found, index=index)
