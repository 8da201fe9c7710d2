"""All parts of the report, computed once: what the page shows and what is written beside it are the same objects."""

from collections.abc import Mapping
from typing import Any, TypeVar

from ketune import statistics
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
    panels,
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
from ketune.report.style import Looks

T = TypeVar("T")


def of_kind(parts: Mapping[str, Any], kind: type[T]) -> list[T]:
    """Every table, or every figure, in reading order: for the files beside the page."""
    found = [part for value in parts.values() for part in (value if isinstance(value, list) else [value])]
    return [part for part in found if isinstance(part, kind)]


def compute(results: Results, beside: Background, looks: Looks) -> dict[str, Any]:
    """Everything that the report says and draws, in reading order; None or empty where a run gives nothing to show."""
    judgement = comparisons.judge(results)
    intervals = panels.intervals(results, judgement.panels)
    machines = ledger.machines(results)
    shown = costs.comparable(len(machines) == 1)
    read = shots.table(results, beside.measured)
    quantities = explorer.quantities(results, intervals, shown)
    return dict(
        intervals=intervals,
        opening=opening.opening(results, beside.left_out),
        statements=opening.statements(results, judgement),
        gates=gates.table(gates.gates(gates.Evidence(results, judgement, beside.plan, beside.planted))),
        seeds_to_confirm=statistics.seeds_to_confirm(results.settings.report.alpha),
        verdict=verdicts.verdict(results, judgement),
        plan=outcome.table(results, judgement, beside.plan),
        other_verdicts=verdicts.other_verdicts(results, judgement),
        seeds=[seeds.losses(results, judgement), seeds.pairs(results, judgement)],
        against_others=effects.against_others(results, looks, judgement),
        interval_plot=effects.interval_plot(results, looks, intervals),
        quality=tables.quality(results, intervals, comparisons.separated_best(results, judgement)),
        signatures=tables.signatures(results),
        tradeoffs=[figures.tradeoff(results, looks, intervals, cost) for cost in shown if cost.axis],
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
        buckets=[buckets.losses(results), buckets.differences(results)],
        paper_warning=paper.warning(results),
        paper=paper.tables(results),
        cards=cards.cards(results),
        hardware=hardware.table(results, beside.bills, read=read is not None),
        shots=read,
        calibration=calibration.table(beside.planted),
        ledger=[ledger.equal(results), ledger.differing(results), ledger.departures(results), rates.table(results)],
        machines=[(ledger.machine_facts(machine), runs) for machine, runs in machines],
        digests=ledger.digest_table(beside.digests),
        revisions=ledger.revisions(results, beside.revisions),
        caveats=caveats.caveats(results, judgement),
    )
