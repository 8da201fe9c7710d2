"""Which methods are compared with which, on what; the statistics decide what is then said.

The controls are declared by the methods: each is a quantum method with one part removed or replaced, so that what beats
all of them cannot be had without that part. Every pair has one verdict on each metric, and every sentence, table and
figure looks it up here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from ketune import methods, metrics, statistics
from ketune.report import cells, cuts, moved, panels, plan
from ketune.report.results import Results
from ketune.statistics import Attribution, Contrast, Decisions, Panel, Verdict


@dataclass(frozen=True)
class Judgement:
    """Everything that is decided.

    Attributes:
        panels: metric → all methods on it.
        decisions: the one verdict of each pair on each metric.
        planned, controls: the contrasts of these roles, in the order of the tables.
        attributions: quantum method → whether its circuit contributes; None where no control isolates it.
        void: method → why there is no verdict about it.
    """

    panels: Mapping[str, Panel]
    decisions: Decisions
    planned: tuple[Contrast, ...]
    controls: tuple[Contrast, ...]
    attributions: dict[str, Attribution | None]
    void: dict[str, str]

    def verdict(self, method: str, other: str, metric: str = "loss") -> Verdict:
        """method - other, both of which ran."""
        return self.decisions.between(metric, method, other)


def judge(results: Results) -> Judgement:
    """Verdicts on every pair and metric: planned, for an attribution, or exploratory."""
    found = {metric.key: panels.panel(results, metric.key) for metric in results.metrics}
    planned, controls = plan.planned(results.settings), plan.controls(results.settings)
    asked = {*planned, *controls}
    families = results.settings.contrasts, plan.required(results.settings)  # those that did not run count in them
    every = [Contrast(key, a, b) for key in found for a, b in combinations(results.methods, 2)]
    free = [one for one in every if not asked & {one, one.reversed}]
    decisions = statistics.decide(found, *families, free, results.settings.report.alpha)
    attributions = {method: attribute(results, decisions, method) for method in results.in_family("quantum")}
    return Judgement(found, decisions, tuple(planned), tuple(controls), attributions, moved.void(results))


def attribute(results: Results, decisions: Decisions, method: str) -> Attribution | None:
    """Whether what a method gains is due to what its controls lack; None where it has no control."""
    required = methods.controls(method)
    if not required:
        return None
    against = {other: decisions.between("loss", method, other) for other in required if other in results.methods}
    return statistics.attribution(against, required, results.settings.report.alpha)


def unlearnt(results: Results, judgement: Judgement, controls: Iterable[str]) -> list[str]:
    """Those of the controls that ran and are not better than the untuned model; all of them where that did not run."""
    ran = [one for one in dict.fromkeys(controls) if one in results.methods and one != "base"]
    return [one for one in ran if "base" not in results.methods or judgement.verdict(one, "base").word != "better"]


def setting(results: Results, method: str, key: str) -> Any:
    """What a method that ran has under a key, in its section or fixed; None without one."""
    return {**results.settings.sections[method], **methods.declared(method).fixed}.get(key)


def with_bias(results: Results, controls: Iterable[str]) -> list[str]:
    """Those of the controls that ran and have a trained bias beside their features."""
    return [one for one in controls if one in results.methods and setting(results, one, "with_bias")]


def worse_than_their_bias(judgement: Judgement, controls: Iterable[str]) -> list[str]:
    """Those of the controls with a trained bias that are worse than it alone: at their rates they learn less."""
    return [one for one in controls if judgement.verdict(one, "bias_only").word == "worse"]


def level_with_their_bias(judgement: Judgement, controls: Iterable[str]) -> list[str]:
    """Those of the controls with a trained bias that are neither better nor worse than it: their features add nothing
    that is seen."""
    return [one for one in controls if judgement.verdict(one, "bias_only").word not in ("better", "worse")]


def listed(results: Results, asked: Iterable[Contrast]) -> str:
    """Comparisons for a sentence, those of one method on one metric together."""
    against: dict[Contrast, list[str]] = {}
    for one in asked:
        against.setdefault(one._replace(other=""), []).append(one.other)
    told = []
    for one, others in against.items():
        metric = cells.lowered(metrics.named(one.metric).title)
        told.append(f"{results.named([one.method])} against {results.named(others)} on {metric}")
    return "; ".join(told)


def shown(results: Results, judgement: Judgement) -> list[Contrast]:
    """The comparisons of the verdict table: the planned ones, then each quantum method's, or each adapter's."""
    reference = results.settings.report.reference
    quantum = results.in_family("quantum")
    with_reference = [
        Contrast("loss", method, reference)
        for method in quantum or results.methods
        if reference in results.methods and method != reference
    ]
    declared_so = [one for one in with_reference if one.reversed not in judgement.planned]
    return list(dict.fromkeys([*judgement.planned, *judgement.controls, *declared_so]))


def declared(planned: Iterable[Contrast]) -> set[str]:
    """The methods of declared comparisons. An attribution of another is exploratory, as its sentence says."""
    return {side for one in planned for side in (one.method, one.other)}


def least_sure(results: Results, judgement: Judgement) -> tuple[Contrast, float] | None:
    """Of the comparisons of held-out loss that are shown, the one that finds only the largest differences, and that
    difference in nats per token, infinite below three seeds; None where none is shown. Where a study declares some,
    those of methods that are in none of them are left out: they are exploratory.
    """
    known = declared(judgement.planned) or set(results.methods)
    asked = [one for one in shown(results, judgement) if one.metric == "loss" and one.method in known]
    found = {one: judgement.verdict(one.method, one.other).detectable for one in asked}
    return max(found.items(), key=lambda item: item[1]) if found else None


def separated_best(results: Results, judgement: Judgement) -> dict[str, str]:
    """Metric → the method that is better than every other; an intersection-union test, so each stands at its level.

    A metric of answers that were cut has none.
    """
    found = {}
    for metric in results.metrics:
        if cuts.touch(results, metric, *results.methods):
            continue
        for method in results.methods:
            if method in judgement.void:
                continue
            others = [judgement.verdict(method, other, metric.key) for other in results.methods if other != method]
            if others and all(verdict.word == "better" for verdict in others):
                found[metric.key] = method
    return found
