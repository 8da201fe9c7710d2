"""All parts of the report, computed once: what the page shows and what is written beside it are the same objects."""

from dataclasses import dataclass, fields
from typing import Any

import pandas as pd

from ketune.report import (
    buckets,
    calibration,
    cards,
    caveats,
    claims,
    comparisons,
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
from ketune.report.cells import Table
from ketune.report.drawing import Drawing
from ketune.report.opening import Opening, Statement
from ketune.report.results import Results
from ketune.report.style import Look


@dataclass(frozen=True)
class Contents:
    """The parts in reading order; None or empty where a run gives nothing to show."""

    opening: Opening
    statements: list[Statement]
    gates: Table | None
    verdict: Table | None
    plan: Table | None
    other_verdicts: Table | None
    seeds: list[Table]
    against_controls: Drawing | None
    interval_plot: Drawing
    quality: Table | None
    signatures: list[tuple[str, str]]
    tradeoffs: list[Drawing]
    costs: Table | None
    measured: Table | None
    explorer: dict[str, Any]
    moved: Table | None
    validation_loss: Drawing | None
    learning_curves: Drawing | None
    claims: Table | None
    scans: list[Drawing]
    forgetting: Drawing | None
    pairwise: Table | None
    buckets: list[Table]
    paper_warning: str
    paper: list[Table]
    cards: list[cards.Card]
    hardware: Table | None
    shots: Table | None
    calibration_sentence: str
    calibration: Table | None
    ledger: list[Table]
    machines: list[tuple[list[tuple[str, str]], list[str]]]
    digests: Table | None
    revisions: list[tuple[str, str]]
    caveats: list[str]

    @property
    def tables(self) -> list[Table]:
        """Every table, for the files beside the page."""
        return [part for part in self._parts() if isinstance(part, Table)]

    @property
    def drawings(self) -> list[Drawing]:
        """Every figure, for the files beside the page."""
        return [part for part in self._parts() if isinstance(part, Drawing)]

    def _parts(self) -> list[Any]:
        values = [getattr(self, field.name) for field in fields(self)]
        return [part for value in values for part in (value if isinstance(value, list) else [value])]


def compute(results: Results, beside: Background, looks: dict[str, Look], intervals: pd.DataFrame) -> Contents:
    """Everything that the report says and draws."""
    judgement = comparisons.judge(results)
    machines = ledger.machines(results)
    drawn = [figures.tradeoff(results, looks, intervals, cost) for cost in figures.shown(len(machines) == 1)]
    quantities = explorer.quantities(results, intervals, len(machines) == 1)
    by_seed = [seeds.losses(results, judgement), seeds.pairs(results, judgement)]
    by_bucket = [buckets.losses(results), buckets.differences(results)]
    ledgers = [ledger.equal(results), ledger.differing(results), ledger.departures(results), rates.table(results)]
    return Contents(
        opening=opening.opening(results, beside.left_out),
        statements=opening.statements(results, judgement),
        gates=gates.table(gates.gates(gates.Evidence(results, judgement, beside.plan, beside.planted))),
        verdict=verdicts.verdict(results, judgement),
        plan=outcome.table(results, judgement, beside.plan),
        other_verdicts=verdicts.other_verdicts(results, judgement),
        seeds=[table for table in by_seed if table is not None],
        against_controls=effects.against_controls(results, looks, judgement),
        interval_plot=effects.interval_plot(results, looks, intervals),
        quality=tables.quality(results, intervals, comparisons.separated_best(results, judgement)),
        signatures=tables.signatures(results),
        tradeoffs=[drawing for drawing in drawn if drawing is not None],
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
        buckets=[table for table in by_bucket if table is not None],
        paper_warning=paper.warning(results),
        paper=[table for table in paper.tables(results) if table is not None],
        cards=cards.cards(results),
        hardware=hardware.table(results, beside.bills),
        shots=shots.table(results, beside.measured),
        calibration_sentence=calibration.sentence(beside.planted, results.settings.tune),
        calibration=calibration.table(beside.planted, results.settings.tune),
        ledger=[table for table in ledgers if table is not None],
        machines=[(ledger.machine_facts(machine), runs) for machine, runs in machines],
        digests=ledger.digest_table(beside.digests),
        revisions=ledger.revisions(results, beside.revisions),
        caveats=caveats.caveats(results, judgement),
    )
