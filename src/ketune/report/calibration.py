"""What the pipeline says of records whose maker is known: its calibration.

A planted study leaves a record of what was said and of what had to be said, by which code and with which search for
learning rates. Whoever reads a verdict can see there whether the same rule finds a circuit that is there, and none that
is not.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ketune import methods, statistics
from ketune.ground import files, layout
from ketune.ground.params import Tune
from ketune.report import cells, comparisons, opening
from ketune.report.cells import Cell, Table, interval, numeral
from ketune.report.comparisons import Judgement
from ketune.report.opening import Statement
from ketune.report.results import Results
from ketune.statistics import Contrast, Verdict

SEARCH = ("trials", "refined", "confirmed", "horizon")  # of the section `tune`: how far rates were searched for


@dataclass(frozen=True, kw_only=True)
class Lead:
    """Held-out loss of a judged method minus that of a control, in nats per token, with its interval and word."""

    control: str
    difference: float
    low: float
    high: float
    word: str


@dataclass(frozen=True, kw_only=True)
class PlantedVerdict:
    """What was said of one method in a planted study.

    Attributes:
        expected, contributes: what had to be said, and what was said, of the part that its controls lack.
        sentence: the report's own.
        loss: mean held-out loss of its runs, in nats per token.
        angle_errors: for each seed, the median distance of its angles from the teacher's in radians, up to what no
            feature tells; None where either has none.
    """

    method: str
    expected: bool
    contributes: bool
    sentence: str
    loss: float
    differences: tuple[Lead, ...]
    angle_errors: tuple[float, ...] | None

    @property
    def right(self) -> bool:
        """What was said is what had to be said."""
        return self.contributes == self.expected


@dataclass(frozen=True, kw_only=True)
class PlantedStudy:
    """The pipeline on records whose maker is known.

    Attributes:
        name: of the study.
        teacher: the method that made the records.
        teacher_loss, base_loss: held-out loss of the teacher and of the untuned model, in nats per token.
        date: of the run, ISO 8601.
        revision: commit that made the code what it was, marked where it was changed since; empty where none is known.
        search: setting → value of the search for learning rates.
    """

    name: str
    teacher: str
    teacher_loss: float
    base_loss: float
    verdicts: tuple[PlantedVerdict, ...]
    seeds: tuple[int, ...]
    steps: int
    training_records: int
    test_records: int
    date: str
    wall_seconds: float
    packages: dict[str, str]
    revision: str
    search: dict[str, int | float]


def controls(method: str) -> tuple[str, ...]:
    """What a method must beat to contribute; a control in the place of its method must beat that method's others."""
    own = methods.controls(method)
    originals = methods.declared(method).control_of
    return own or tuple(other for original in originals for other in methods.controls(original) if other != method)


def judge(results: Results, method: str, expected: bool, angle_errors: tuple[float, ...] | None) -> PlantedVerdict:
    """What the page of a planted study says of a method's circuit, its vetoes included."""
    judgement = comparisons.judge(results)
    against = _against(results, judgement, method)
    said = _said(results, judgement, method, against)
    differences = (
        Lead(control=other, difference=one.difference, low=one.low, high=one.high, word=one.word)
        for other, one in against.items()
    )
    return PlantedVerdict(
        method=method,
        expected=expected,
        contributes=said.contributes,
        sentence=said.text,
        loss=results.mean(method, "loss"),
        differences=tuple(differences),
        angle_errors=angle_errors,
    )


def _against(results: Results, judgement: Judgement, method: str) -> dict[str, Verdict]:
    """Control → the page's verdict; of a control in the place of its method, which no page judges, one alike."""
    required, decisions = controls(method), judgement.decisions
    if judgement.attributions.get(method) is None:
        asked, alpha = [Contrast("loss", method, other) for other in required], results.settings.report.alpha
        decisions = statistics.decide(judgement.panels, results.settings.contrasts, asked, alpha=alpha)
    return {other: decisions.between("loss", method, other) for other in required if other in results.methods}


def _said(results: Results, judgement: Judgement, method: str, against: Mapping[str, Verdict]) -> Statement:
    """The page's statement on a circuit; of a control in the place of its method, which no page judges, one alike."""
    if own := judgement.attributions.get(method):
        return opening.statements(results, replace(judgement, attributions={method: own}))[-1]
    required = controls(method)
    if still := [judgement.void[one] for one in (method, *required) if one in judgement.void]:
        return Statement(" ".join(still), "open")
    attribution = statistics.attribution(against, required, results.settings.report.alpha)
    return opening.contribution(results, method, attribution, comparisons.unlearnt(results, judgement, required))


def searched(tune: Tune) -> dict[str, int | float]:
    """What a record keeps of a search for learning rates."""
    return {key: getattr(tune, key) for key in SEARCH}


def read(folder: Path = layout.PLANTED) -> list[PlantedStudy]:
    """The recorded planted studies, by name; none where none was run."""
    return [files.read_json(path, PlantedStudy) for path in sorted(folder.glob("*.json"))]


def sentence(studies: Sequence[PlantedStudy], tune: Tune) -> str:
    """How many of the planted verdicts are right, and of which day, software, code and search they are.

    Args:
        tune: the search of the page's study, to be told where the planted ones had another.
    """
    if not studies:
        return "No planted study is recorded; make planted runs them."
    verdicts = [verdict for study in studies for verdict in study.verdicts]
    right = sum(verdict.right for verdict in verdicts)
    oldest = min(studies, key=lambda study: study.date)
    software = ", ".join(f"{name} {version}" for name, version in sorted(oldest.packages.items()))
    return (
        f"{right} of {len(verdicts)} planted verdicts are right (run on {oldest.date} with {software}). Code: "
        f"{_told(studies, _commit)}. Search for learning rates: {_told(studies, lambda study: _search(study, tune))}."
    )


def table(studies: Sequence[PlantedStudy]) -> Table | None:
    """A row for each planted verdict: what had to be said, what was said, and by how much."""
    rows = [_row(study, verdict) for study in studies for verdict in study.verdicts]
    smallest = min((-_hardest(v).difference for study in studies for v in study.verdicts if v.expected), default=None)
    caption = (
        "This project's pipeline, from preparing records to the words and vetoes of a page, on a tiny model and "
        "records that a known teacher made. Held-out loss in nats per token; the hardest control is the one "
        "that comes closest to the method, or beats it. Angles: median distance from the teacher's, for each seed, up "
        "to half turns and a common sign, which change no prediction; angles at random are about 0.79 rad off."
    )
    if smallest is not None:
        caption += f" The smallest lead that had to be found is {smallest:.2g}; smaller ones were not planted."
    return cells.table("calibration", caption, rows)


def _hardest(verdict: PlantedVerdict) -> Lead:
    return max(verdict.differences, key=lambda one: one.difference)


def _told(studies: Sequence[PlantedStudy], fact: Callable[[PlantedStudy], str]) -> str:
    """A fact of all studies once; facts that differ each with the studies that they hold of."""
    found: dict[str, list[str]] = {}
    for study in studies:
        found.setdefault(fact(study), []).append(study.name)
    return "; ".join(text if len(found) == 1 else f"{text} ({', '.join(names)})" for text, names in found.items())


def _commit(study: PlantedStudy) -> str:
    commit, *changes = study.revision.split(" ")
    return " ".join(["commit", commit[:7], *changes]) if commit else "commit not recorded"


def _search(study: PlantedStudy, tune: Tune) -> str:
    text = _listed(study.search)
    other = {key: value for key, value in searched(tune).items() if study.search.get(key) != value}
    return f"{text}, where this page's study asks for {_listed(other)}" if other else f"{text}, as in this page's study"


def _listed(search: Mapping[str, int | float]) -> str:
    return ", ".join(f"{key} {search[key]:g}" for key in SEARCH if key in search)


def _row(study: PlantedStudy, verdict: PlantedVerdict) -> dict[str, Cell]:
    hardest = _hardest(verdict)
    note = f"{interval(hardest.low, hardest.high, 3, signed=True)} {methods.declared(hardest.control).title}"
    errors = verdict.angle_errors
    return {
        "Records made by": Cell(methods.declared(study.teacher).title, note=study.name),
        "Judged": Cell(methods.declared(verdict.method).title),
        "Had to be said": Cell("contributes" if verdict.expected else "not shown"),
        "Was said": Cell("contributes" if verdict.contributes else "not shown",
                         mark="better" if verdict.right else "worse", note="right" if verdict.right else "wrong"),
        "Against the hardest control": numeral(hardest.difference, 3, signed=True, note=note),
        "Above the teacher": numeral(verdict.loss - study.teacher_loss, 3, signed=True),
        "Angles off by": numeral(float(np.median(errors)) if errors else None, 3,
                                 note=f"{min(errors):.3f} to {max(errors):.3f} rad" if errors else ""),
        "Seeds": numeral(len(study.seeds), 0),
    }  # fmt: skip
