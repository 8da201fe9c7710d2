"""All parts of the report, computed once: what the page shows and what is written beside it are the same objects."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import pandas as pd

from ketune.report import (
    buckets,
    calibration,
    cards,
    caveats,
    claims,
    comparisons,
    costs,
    effects,
    explorer,
    figures,
    gates,
    hardware,
    ledger,
    moved,
    opening,
    outcome,
    paper,
    rate_figure,
    rates,
    scaling_figure,
    seeds,
    shots,
    tables,
    verdicts,
)
from ketune.report.background import Background
from ketune.report.results import Results
from ketune.report.style import Look

T = TypeVar("T")


def of_kind(parts: Mapping[str, Any], kind: type[T]) -> list[T]:
    """Every table, or every figure, in reading order: for the files beside the page."""
    found = [part for value in parts.values() for part in (value if isinstance(value, list) else [value])]
    return [part for part in found if isinstance(part, kind)]


def _given(parts: Iterable[T | None]) -> list[T]:
    return [part for part in parts if part is not None]


def compute(results: Results, beside: Background, looks: dict[str, Look], intervals: pd.DataFrame) -> dict[str, Any]:
    """Everything that the report says and draws, in reading order; None or empty where a run gives nothing to show."""
    judgement = comparisons.judge(results)
    machines = ledger.machines(results)
    shown = costs.comparable(len(machines) == 1)
    drawn = [figures.tradeoff(results, looks, intervals, cost) for cost in shown if cost.axis]
    quantities = explorer.quantities(results, intervals, shown)
    by_seed = [seeds.losses(results, judgement), seeds.pairs(results, judgement)]
    by_bucket = [buckets.losses(results), buckets.differences(results)]
    ledgers = [ledger.equal(results), ledger.differing(results), ledger.departures(results), rates.table(results)]
    return dict(
        opening=opening.opening(results, beside.left_out),
        statements=opening.statements(results, judgement),
        gates=gates.table(gates.gates(gates.Evidence(results, judgement, beside.plan, beside.planted))),
        verdict=verdicts.verdict(results, judgement),
        plan=outcome.table(results, judgement, beside.plan),
        other_verdicts=verdicts.other_verdicts(results, judgement),
        seeds=_given(by_seed),
        against_controls=effects.against_controls(results, looks, judgement),
        interval_plot=effects.interval_plot(results, looks, intervals),
        quality=tables.quality(results, intervals, comparisons.separated_best(results, judgement)),
        signatures=tables.signatures(results),
        tradeoffs=_given(drawn),
        costs=tables.costs(results, len(machines) == 1),
        measured=explorer.measured(results, quantities),
        explorer=explorer.data(results, quantities),
        moved=moved.table(results),
        validation_loss=rate_figure.validation_loss(results, looks),
        learning_curves=figures.learning_curves(results, looks),
        claims=claims.table(results, judgement),
        scans=scaling_figure.scans(results),
        forgetting=effects.forgetting(results, looks),
        pairwise=verdicts.pairwise(results, judgement),
        buckets=_given(by_bucket),
        paper_warning=paper.warning(results),
        paper=_given(paper.tables(results)),
        cards=cards.cards(results),
        hardware=hardware.table(results, beside.bills),
        shots=shots.table(results, beside.measured),
        calibration_sentence=calibration.sentence(beside.planted, results.settings.tune),
        calibration=calibration.table(beside.planted, results.settings.tune),
        ledger=_given(ledgers),
        machines=[(ledger.machine_facts(machine), runs) for machine, runs in machines],
        digests=ledger.digest_table(beside.digests),
        revisions=ledger.revisions(results, beside.revisions),
        caveats=caveats.caveats(results, judgement),
    )
