"""Everything that the stages left behind for the listed methods and seeds, read once and checked to fit together.

It walks `methods × seeds` of the params and never a folder: what a method that left the list wrote is not seen. It
knows files and shapes; it does not know which number is good. No torch: a report renders on any machine.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from ketune import methods, metrics
from ketune.ground import files, layout
from ketune.ground.errors import InputError
from ketune.ground.params import Params
from ketune.metrics import Metric
from ketune.records.examples import Example
from ketune.records.predictions import Answer, Likelihood
from ketune.records.preparation import Preparation
from ketune.records.scores import RunScores
from ketune.records.training import CurvePoint, TrainingRecord, Tuning
from ketune.report import texts
from ketune.report.texts import Ending, Reference

Array = np.ndarray


@dataclass(frozen=True)
class RunResult:
    """What one (method, seed) left behind.

    Attributes:
        training: parameters, cost, machine and the method's card.
        curve: step → training loss; no rows where nothing was trained.
        endings: how each answer ended, in the prompts' order.
    """

    training: TrainingRecord
    curve: pd.DataFrame
    scores: RunScores
    endings: tuple[Ending, ...]


@dataclass(frozen=True)
class Results:
    """All runs of a study.

    Attributes:
        settings: the params.
        runs: (method, seed) → what it left behind.
        tunings: method → its learning rates, and the search that found them.
        summary: what `prepare` says of the data.
        references: what kind of text each reference is, in the order of the scores.
    """

    settings: Params
    runs: dict[tuple[str, int], RunResult]
    tunings: dict[str, Tuning]
    summary: Preparation
    references: tuple[Reference, ...]

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics that the runs were scored with; one that came later is not among them."""
        scored = next(iter(self.runs.values())).scores.metrics
        return tuple(metric for metric in metrics.every() if metric.key in scored)

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods in the order of the params."""
        return self.settings.methods

    def of(self, method: str) -> list[RunResult]:
        """The runs of one method, in the order of the seeds."""
        return [self.runs[method, seed] for seed in self.settings.seeds]

    def title(self, method: str) -> str:
        """The name that figures and tables print; of a method that this project does not declare, its key."""
        return methods.declared(method).title if method in methods.names() else method

    def named(self, methods: Iterable[str]) -> str:
        """Titles for a sentence, joined by commas; a comma within a title becomes a bracket."""
        parts = [self.title(method).split(", ", 1) for method in methods]
        return ", ".join(f"{part[0]} ({part[1]})" if len(part) > 1 else part[0] for part in parts)

    def family(self, method: str) -> str:
        """reference, classical, quantum or control."""
        return methods.declared(method).family

    def in_family(self, *families: str) -> list[str]:
        """Methods of the given families, in the order of the params."""
        return [method for method in self.methods if self.family(method) in families]

    @cached_property
    def frame(self) -> pd.DataFrame:
        """(method, seed) → corpus values, training costs, parameters; NaN where nothing was measured."""
        rows = [
            {key: metric.score for key, metric in run.scores.metrics.items()}
            | asdict(run.training.cost)
            | asdict(run.training.parameters)
            for run in self.runs.values()
        ]
        index = pd.MultiIndex.from_tuples(self.runs, names=["method", "seed"])
        return pd.DataFrame(rows, index=index).astype(float)

    @cached_property
    def means(self) -> pd.DataFrame:
        """The frame's means over seeds, a row for each method."""
        return self.frame.groupby("method", sort=False).mean()

    @cached_property
    def curves(self) -> pd.DataFrame:
        """(method, seed, step) → training loss, of all that was trained."""
        return pd.concat({key: run.curve for key, run in self.runs.items()}, names=["method", "seed"])

    def mean(self, method: str, metric: str) -> float:
        """A metric's corpus value, mean over seeds."""
        return float(self.means.at[method, metric])

    def sums(self, method: str, metric: str) -> Array:
        """The numbers that a metric's score follows from, for each row of what it reads: (S, P, K)."""
        return np.array([run.scores.metrics[metric].sums for run in self.of(method)], dtype=float)

    def losses(self, method: str) -> Array:
        """Training losses: (S, T); T is 0 where nothing was trained."""
        return np.stack([run.curve["loss"] for run in self.of(method)])

    def trainable(self, method: str) -> int:
        """Number of trainable parameters."""
        return self.of(method)[0].training.parameters.trainable


def read(settings: Params) -> Results:
    """Read all runs of the params.

    Raises:
        InputError: a run is missing, or runs were scored on different prompts or in different ways.
    """
    runs = {(method, seed): _read_run(layout.Run(method, seed)) for method, seed in settings.runs}
    check(runs)
    kinds = {row.id: texts.reference(row) for row in files.read_rows(layout.split("test"), Example)}
    tunings = {method: tuning(method) for method in settings.methods}
    run, ids = next((layout.Run(*key), one.scores.ids["likelihood"]) for key, one in runs.items())
    if missing := set(ids) - kinds.keys():
        raise InputError(f"{run.scores}: {len(missing)} of its references are no test records now; run `dvc repro`.")
    references = tuple(kinds[identity] for identity in ids)
    return Results(settings, runs, tunings, files.read_json(layout.SUMMARY, Preparation), references)


def check(runs: dict[tuple[str, int], RunResult]) -> None:
    """Whether runs compare.

    Raises:
        InputError: two were scored on different prompts or in different ways, or trained for different steps.
    """
    _check_titles(dict.fromkeys(method for method, _ in runs))
    _check_rows(runs)
    _check_metrics(runs)
    _check_steps(runs)


def tuning(method: str) -> Tuning:
    """A method's rates; numbers that params.yaml gives come with the search kept in git that found them, if any."""
    used, recorded = files.read_json(layout.tuned(method), Tuning), layout.recorded_tuning(method)
    if used.search is None and recorded.exists():
        found = files.read_json(recorded, Tuning)
        return found if found.rates == used.rates else used
    return used


def _read_run(run: layout.Run) -> RunResult:
    points = files.read_csv(run.curve, CurvePoint)
    steps = pd.Index([point.step for point in points], name="step", dtype=int)
    scores = files.read_json(run.scores, RunScores)
    answers = files.read_rows(run.rows("answers"), Answer)
    likelihoods = files.read_rows(run.rows("likelihood"), Likelihood)
    _check_scored(run, scores, {"answers": answers, "likelihood": likelihoods})
    return RunResult(
        training=files.read_json(run.cost, TrainingRecord),
        curve=pd.DataFrame({"loss": [point.loss for point in points]}, index=steps, dtype=float),
        scores=scores,
        endings=tuple(map(texts.ending, answers)),
    )


def _check_scored(run: layout.Run, scores: RunScores, rows: Mapping[str, Sequence[Answer | Likelihood]]) -> None:
    """The scores are those of the predictions that lie there."""
    if any(tuple(row.id for row in found) != scores.ids[kind] for kind, found in rows.items()):
        raise InputError(
            f"{run.scores}: other prompts were scored than {run.predictions} holds; run `dvc repro`, which scores them."
        )


def _check_titles(names: Iterable[str]) -> None:
    """Tables and figures name a method by its title alone."""
    found: dict[str, str] = {}
    for name in names:
        title = methods.declared(name).title
        if found.setdefault(title, name) != name:
            raise InputError(f"methods: {found[title]} and {name} share the title {title!r}; change one of them.")


def _check_rows(runs: dict[tuple[str, int], RunResult]) -> None:
    """Every comparison pairs runs row by row, so all must have the same ones in the same order."""
    first, ids = next((key, run.scores.ids) for key, run in runs.items())
    for key, run in runs.items():
        if run.scores.ids != ids:
            raise InputError(
                f"data/scores: {_name(key)} and {_name(first)} were scored on different prompts, so they cannot be "
                "compared; run `dvc repro`, which brings all runs to one state."
            )


def _check_metrics(runs: dict[tuple[str, int], RunResult]) -> None:
    """Scores compare where they were computed in the same way."""
    first, reference = next(iter(runs.items()))
    for (key, run), metric in itertools.product(runs.items(), metrics.every()):
        found, other = (one.scores.metrics.get(metric.key) for one in (run, reference))
        if found is None and other is None:
            continue
        if found is None or other is None:
            lacking = _name(key if found is None else first)
            raise InputError(f"data/scores: {lacking} has no {metric.title}; run `dvc repro`, which scores it.")
        if found.signature != other.signature:
            raise InputError(
                f"data/scores: {metric.title} of {_name(key)} ({found.signature}) and of {_name(first)} "
                f"({other.signature}) do not compare; run `dvc repro --force score@{_name(key)}`."
            )
        if len(found.sums) != len(run.scores.ids[metric.reads]):
            raise InputError(
                f"{layout.Run(*key).scores}: {metric.title} misses rows; remove the file and run `dvc repro`."
            )


def _check_steps(runs: dict[tuple[str, int], RunResult]) -> None:
    """Curves are compared step by step."""
    steps = {key: len(run.curve) for key, run in runs.items() if len(run.curve)}
    if len(set(steps.values())) > 1:
        few, many = min(steps, key=steps.__getitem__), max(steps, key=steps.__getitem__)
        raise InputError(
            f"data/curves: {_name(few)} has {steps[few]} steps and {_name(many)} {steps[many]}; "
            f"run `dvc repro`, which brings all runs to one state."
        )


def _name(key: tuple[str, int]) -> str:
    return layout.Run(*key).key
