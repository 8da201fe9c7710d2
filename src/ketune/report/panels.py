"""The measured runs as the statistics take them: a panel of all methods for each metric."""

from collections.abc import Collection, Iterable

from ketune import methods
from ketune.report import comparisons
from ketune.report.results import Results
from ketune.statistics import Panel


def panel(results: Results, metric: str, chosen: Iterable[int] | None = None) -> Panel:
    """A metric of all methods; with `chosen`, over these references only."""
    chosen = None if chosen is None else list(chosen)
    measures = {method: comparisons.measure(results, method, metric, chosen) for method in results.methods}
    return Panel(measures, apart(results.methods))


def apart(names: Collection[str]) -> list[str]:
    """The methods whose seed also draws something that training keeps."""
    return [name for name in names if methods.declared(name).draws]
