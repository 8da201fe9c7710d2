"""What the plan promised, beside what came."""

from ketune import statistics
from ketune.ground import layout
from ketune.ground.contrasts import read
from ketune.report import cells, comparisons
from ketune.report.cells import ABSENT, Cell, Table, numeral
from ketune.report.comparisons import Judgement
from ketune.report.plan import Plan, Promise
from ketune.report.results import Results
from ketune.report.verdicts import word


def table(results: Results, judgement: Judgement, made: Plan | None) -> Table | None:
    """A row for each comparison of the plan; None where there is no plan."""
    if made is None:
        return None
    rows = [_row(results, judgement, promise) for promise in made.promises]
    caption = (
        f"The plan of {made.date}, from a pilot of {made.pilot_seeds} seeds and {made.pilot_references} references, "
        f"beside what came. Planned: {made.seeds} seeds, {made.references} references; run: "
        f"{len(results.settings.seeds)} and {len(results.references)}. Power: how often a true "
        f"difference of {made.differences[0]:g} nats per token is found, and how often the sign-flip test over seeds "
        "finds it, with the references as they are. Detectable: found four times in five, at that level. Seeds won: "
        "the share of paired seeds in which the first method is the better one."
    ) + _margins(made.margin, judgement.panels["loss"].margin)
    return cells.table("plan", caption, rows)


def _margins(planned: float | None, here: float | None) -> str:
    """What both margins are, where they print differently: each is taken from the runs at hand."""
    told = ["none" if one is None else f"±{one:.3g}" for one in (planned, here)]
    if told[0] == told[1]:
        return ""
    return f" The margin of comparable, which is taken from how runs differ: {told[0]} in the pilot, {told[1]} here."


def _row(results: Results, judgement: Judgement, promise: Promise) -> dict[str, Cell]:
    one = read(promise.contrast, str(layout.PLAN))
    ran = {one.method, one.other} <= set(results.methods)
    found = judgement.verdict(one.method, one.other, one.metric) if ran else None
    return {
        "Comparison": Cell(comparisons.listed(results, [one])),
        "Role": Cell(promise.role),
        "Power": numeral(promise.power[0] if promise.power else None, 2, note=_seeds_agree(promise)),
        "Detectable, planned": numeral(promise.detectable, 3, note=f"at {promise.level:.3g}"),
        "Detectable, here": numeral(found.detectable, 3, note=f"at {found.lead_level:.3g}") if found else Cell(ABSENT),
        "Difference": numeral(found.difference if found else None, 3, signed=True),
        "Seeds won": numeral(
            statistics.seeds_won(judgement.panels[one.metric], one.method, one.other) if found else None, 2
        ),
        "Verdict": word(results, judgement, one) if found else Cell(ABSENT),
    }


def _seeds_agree(promise: Promise) -> str:
    return f"seeds: {promise.confirmed[0]:.2f}" if promise.confirmed else ""
