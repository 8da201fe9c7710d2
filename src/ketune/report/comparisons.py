"""Which methods are compared with which, on what; the statistics decide what is then said.

The controls are declared by the methods: each is a quantum method with one part removed or replaced, so that what beats
all of them cannot be had without that part.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import pandas as pd

from ketune import methods, metrics, statistics
from ketune.ground.params import Report
from ketune.report import cuts
from ketune.report.results import Results
from ketune.statistics import Attribution, Measure, Resampling, Verdict

# Any fixed number; it is no parameter because nobody should want to change a verdict with it.
GENERATOR_SEED = 0


def resampling(report: Report) -> Resampling:
    """How often to draw and how sure to be, from the params."""
    return Resampling(resamples=report.resamples, confidence=report.confidence, generator_seed=GENERATOR_SEED)


def measure(results: Results, method: str, metric: str, chosen: Iterable[int] | None = None) -> Measure:
    """A metric of a method as what is resampled; with `chosen`, over these rows of its predictions only."""
    found = metrics.named(metric)
    sums = results.sums(method, metric)
    if chosen is not None:
        sums = sums[:, list(chosen)]
    return Measure(sums, found.total, found.alone or found.total, found.lower_is_better)


def intervals(results: Results) -> pd.DataFrame:
    """(method, metric) → value, low, high."""
    drawn = resampling(results.settings.report)
    keys = [metric.key for metric in metrics.every()]
    index = pd.MultiIndex.from_product([results.methods, keys], names=["method", "metric"])
    return pd.DataFrame([statistics.interval(measure(results, *key), drawn) for key in index], index=index)


def opponents(results: Results, method: str) -> list[str]:
    """Whom a quantum method is compared with: the reference, its controls, the untuned model; those that ran."""
    wanted = (results.settings.report.reference, *methods.controls(method), "base")
    return [other for other in dict.fromkeys(wanted) if other in results.methods and other != method]


@dataclass(frozen=True)
class Judgement:
    """Everything decided on one metric.

    Attributes:
        verdicts: (method, other) → verdict, corrected together.
        attributions: quantum method → whether its circuit contributes; None where no control isolates it.
    """

    verdicts: dict[tuple[str, str], Verdict]
    attributions: dict[str, Attribution | None]


def judge(results: Results) -> Judgement:
    """Verdicts on held-out loss of every quantum method; without any, of every adapter against the reference."""
    found = _verdicts(results, pairs(results), "loss")
    attributions: dict[str, Attribution | None] = {}
    for method in results.in_family("quantum"):
        required = methods.controls(method)
        against = {other: v for (m, other), v in found.items() if m == method and other in required}
        attributions[method] = statistics.attribution(against, required) if required else None
    return Judgement(found, attributions)


def pairs(results: Results) -> list[tuple[str, str]]:
    """The comparisons of the verdict table."""
    quantum = results.in_family("quantum")
    if quantum:
        return [(method, other) for method in quantum for other in opponents(results, method)]
    reference = results.settings.report.reference
    return [(m, reference) for m in results.methods if reference in results.methods and m != reference]


def other_metrics(results: Results) -> dict[str, dict[tuple[str, str], Verdict]]:
    """Metric → verdicts against reference and controls of equal size, corrected within the metric, without a margin."""
    reference = results.settings.report.reference
    few = [(m, o) for m, o in pairs(results) if o == reference or methods.declared(o).matches == m]
    return {metric.key: _verdicts(results, few, metric.key) for metric in metrics.every() if metric.key != "loss"}


def _verdicts(results: Results, chosen: list[tuple[str, str]], metric: str) -> dict[tuple[str, str], Verdict]:
    report = results.settings.report
    made = cache(lambda method: measure(results, method, metric))
    family = {(method, other): (made(method), made(other)) for method, other in chosen}
    margin = report.margin if metric == "loss" else None
    return statistics.verdicts(family, resampling(report), margin) if family else {}


@dataclass(frozen=True)
class Pairwise:
    """All pairs on held-out loss: probability that the row beats the column on a prompt, and the verdict."""

    improvement: dict[tuple[str, str], float]
    verdicts: dict[tuple[str, str], Verdict]


def pairwise(results: Results) -> Pairwise:
    """Every method against every other; p-values corrected over all unordered pairs."""
    made = {method: measure(results, method, "loss") for method in results.methods}
    drawn = resampling(results.settings.report)
    unordered = [(a, b) for i, a in enumerate(results.methods) for b in results.methods[i + 1 :]]
    improvement = {}
    for a, b in unordered:
        share = statistics.probability_of_improvement(made[a], made[b], drawn).value
        improvement[a, b], improvement[b, a] = share, 1.0 - share
    return Pairwise(improvement, _verdicts(results, unordered, "loss"))


def separated_best(results: Results) -> dict[str, str]:
    """Metric → the method whose mean is best, where the paired test separates it from every other, corrected.

    A metric of answers that were cut has none.
    """
    found = {}
    for metric in metrics.every():
        means = {method: results.mean(method, metric.key) for method in results.methods}
        best = (min if metric.lower_is_better else max)(means, key=means.__getitem__)
        touched = cuts.touch(results, metric, *results.methods)
        others = [] if touched else [(best, other) for other in results.methods if other != best]
        judged = _verdicts(results, others, metric.key)
        if judged and all(verdict.word == "better" for verdict in judged.values()):
            found[metric.key] = best
    return found
