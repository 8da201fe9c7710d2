"""What must hold for the words of a page to be worth reading: each gate is passed, failed or not recorded, and why.

A gate whose evidence does not exist is not recorded; it is never passed by default.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ketune import statistics
from ketune.ground import contrasts, layout
from ketune.report import calibration, cells, comparisons, cuts, moved, plan, rates
from ketune.report.calibration import PlantedStudy
from ketune.report.cells import Cell, Table, number
from ketune.report.comparisons import Judgement, least_sure, unlearnt
from ketune.report.plan import Plan
from ketune.report.results import Results

STATES = {True: ("passed", "better"), False: ("failed", "worse"), None: ("not recorded", "open")}
Look = tuple[bool | None, str]


@dataclass(frozen=True)
class Evidence:
    """What gates look at; `plan` is None where none was made."""

    results: Results
    judgement: Judgement
    plan: Plan | None
    planted: Sequence[PlantedStudy]


@dataclass(frozen=True)
class Gate:
    """One gate; `passed` is None where nothing was recorded that could tell, `bears_on` what it is a condition of."""

    name: str
    bears_on: str
    passed: bool | None
    sentence: str


def gates(found: Evidence) -> list[Gate]:
    """All gates, in reading order."""
    return [Gate(name, bears_on, *look(found)) for name, (bears_on, look) in GATES.items()]


def table(found: list[Gate]) -> Table | None:
    """A row for each gate."""
    rows = []
    for gate in found:
        word, mark = STATES[gate.passed]
        row = {"Gate": gate.name, "State": word, "Bears on": gate.bears_on, "Why": gate.sentence}
        rows.append({column: Cell(text, mark=mark if column == "State" else "") for column, text in row.items()})
    caption = (
        "What must hold for the words of this page to be worth reading, and which of them hang on it. What was not "
        "recorded is not passed."
    )
    return cells.table("gates", caption, rows)


def _planned(found: Evidence) -> Look:
    made, run, settings = found.plan, {str(one) for one in found.judgement.planned}, found.results.settings
    if made is None:
        return None, f"no plan in {layout.PLAN}; make plan writes one from a pilot"
    if made.setting != plan.setting(settings):
        there = f"{made.setting.language_model} on {made.setting.data}, {made.setting.steps:,} steps"
        return False, f"the plan of {made.date} is for another setting: {there}"
    promised = {role: _promised(made, role) for role in ("planned", "control")}
    declared, now = promised["planned"] | set(made.without_pilot), {str(one) for one in settings.contrasts}
    controls = {str(one): one.method for one in found.judgement.controls}
    asked = {one for one, method in controls.items() if method in comparisons.declared(settings.contrasts)}
    if added := (now - declared) | (asked - promised["control"] - declared):
        return False, f"not in the plan of {made.date}: {_told(found, added)}"
    if dropped := (promised["planned"] - run) | (declared - now) | (promised["control"] - controls.keys() - run):
        return False, f"planned on {made.date} and not compared: {_told(found, dropped)}"
    if made.differences != settings.plan.differences:
        then, today = (", ".join(f"{one:g}" for one in ones) for ones in (made.differences, settings.plan.differences))
        return False, f"the plan of {made.date} was to find {then} nats per token, params.yaml {today}"
    sizes = (len(settings.seeds), len(found.results.references))
    if sizes[0] < made.seeds or sizes[1] < made.references:
        return False, (
            f"the plan of {made.date} has {made.seeds} seeds and {made.references} references, "
            f"of which {sizes[0]} and {sizes[1]} ran"
        )
    told = _told(found, promised["planned"])
    return True, f"declared on {made.date}: {told}; git tells whether {layout.PLAN.parent} had it before the runs"


def _promised(made: Plan, role: str) -> set[str]:
    return {one.contrast for one in made.promises if one.role == role}


def _told(found: Evidence, asked: Iterable[str]) -> str:
    return comparisons.listed(found.results, [contrasts.read(text, str(layout.PLAN)) for text in sorted(asked)])


def _healthy(found: Evidence) -> Look:
    controls = {one.other for one in found.judgement.controls} - {"base"}
    if not controls or "base" not in found.results.methods:
        return None, "needs the untuned model and a control among the methods"
    if len(found.results.settings.seeds) < statistics.SEEDS_NEEDED:
        return None, f"{len(found.results.settings.seeds)} of the {statistics.SEEDS_NEEDED} seeds that any word needs"
    if weak := unlearnt(found.results, found.judgement, sorted(controls)):
        return False, f"not better than the untuned model: {found.results.named(weak)}"
    containing = comparisons.with_bias(found.results, sorted(controls))
    if containing and "bias_only" not in found.results.methods:
        told = found.results.named(containing)
        return None, f"the bias alone, which these contain, did not run, so nothing tells whether more learnt: {told}"
    if behind := comparisons.worse_than_their_bias(found.judgement, containing):
        return False, f"worse than the bias alone, which they contain: {found.results.named(behind)}"
    told = f"better than the untuned model: {found.results.named(sorted(controls))}"
    if level := comparisons.level_with_their_bias(found.judgement, containing):
        told += f". No better than the bias alone, which they contain: {found.results.named(level)}"
    return True, told


def _calibrated(found: Evidence) -> Look:
    verdicts = [verdict for study in found.planted for verdict in study.verdicts]
    told = calibration.sentence(found.planted, found.results.settings.tune)
    if not verdicts or not all(verdict.right for verdict in verdicts):
        return (False if verdicts else None), told
    judged = {verdict.method for verdict in verdicts if verdict.expected}
    open_ones = [method for method in found.results.in_family("quantum") if method not in judged]
    declared = comparisons.declared(found.judgement.planned) or set(found.results.methods)
    silent = f" No planted study judged a circuit of {found.results.named(open_ones)}." if open_ones else ""
    return (None if declared & set(open_ones) else True), told + silent


def _uncut(found: Evidence) -> Look:
    counted = {method: cuts.counted(found.results, method) for method in found.results.methods}
    shares = {method: cut / answers for method, (cut, answers) in counted.items()}
    worst = max(shares, key=shares.__getitem__)
    if not shares[worst]:
        return True, "the model ended every answer itself"
    return False, f"{100 * shares[worst]:.0f} % of {found.results.named([worst])}'s answers were cut, the largest share"


def _seeds(found: Evidence) -> Look:
    seeds = len(found.results.settings.seeds)
    needed = statistics.seeds_to_confirm(plan.strictest(found.results.settings))
    told = f"{cells.counted(seeds, 'seed')}; to confirm the strictest planned comparison takes {needed} or more"
    return seeds >= needed, told


def _sure(found: Evidence) -> Look:
    wanted = found.results.settings.plan.differences[0]
    least = least_sure(found.results, found.judgement)
    if least is None:
        return None, "no comparison on held-out loss"
    worst, size = least
    if not math.isfinite(size):
        return False, f"fewer than {statistics.SEEDS_NEEDED} seeds find no difference, however large"
    names = f"{found.results.named([worst.method])} against {found.results.named([worst.other])}"
    return size <= wanted, f"{wanted:g} nats per token were to be found; {names} finds {number(size, 3)}"


GATES: dict[str, tuple[str, Callable[[Evidence], Look]]] = {
    "In the plan": ("what is called planned", _planned),
    "Rates tuned inside their ranges": ("every comparison", lambda found: rates.gate(found.results)),
    "Every part moved": ("every comparison", lambda found: moved.gate(found.results)),
    "Controls learnt": ("words on circuits", _healthy),
    "Planted studies right": ("words on circuits", _calibrated),
    "Answers uncut": ("metrics of answers, no loss", _uncut),
    "Seeds enough to confirm": ("what is called confirmed", _seeds),
    "Seeds and references enough to find": ("what was not found", _sure),
}
