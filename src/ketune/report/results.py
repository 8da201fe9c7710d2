"""Everything that the stages left behind for the listed methods and seeds, read once and checked to fit together.

It walks `methods × seeds` of the params and never a folder: what a method that left the list wrote is not seen. It
knows files and shapes; it does not know which number is good. No torch: a report renders on any machine.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ketune.ground import files, layout
from ketune.ground.errors import InputError
from ketune.ground.params import Params
from ketune.records import Answer, CurvePoint, Example, MethodFacts, Preparation, TrainingRecord, Tuning

Array = np.ndarray


@dataclass(frozen=True)
class RunResult:
    """What one (method, seed) left behind.

    Attributes:
        training: parameters, cost, machine and the method's card.
        curve: step → training loss; no rows where nothing was trained.
        scores: corpus values, rows for each prompt, signatures, likelihoods, as `score` wrote them.
        answers: what the run answered, in the prompts' order.
    """

    training: TrainingRecord
    curve: pd.DataFrame
    scores: dict[str, Any]
    answers: list[Answer]

    @property
    def prompts(self) -> list[str]:
        """The ids of the prompts, in order."""
        return [row["id"] for row in self.scores["prompts"]]


@dataclass(frozen=True)
class Results:
    """All runs of a study.

    Attributes:
        settings: the params.
        runs: (method, seed) → what it left behind.
        tunings: method → its learning rates, and the search that found them.
        summary: what `prepare` says of the data.
        test: the test records by id, for buckets and the sample browser.
    """

    settings: Params
    runs: dict[tuple[str, int], RunResult]
    tunings: dict[str, Tuning]
    summary: Preparation
    test: dict[str, Example] = field(default_factory=dict)

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods in the order of the params."""
        return self.settings.methods

    def of(self, method: str) -> list[RunResult]:
        """The runs of one method, in the order of the seeds."""
        return [self.runs[method, seed] for seed in self.settings.seeds]

    def about(self, method: str) -> MethodFacts:
        """Title, family and source of a method."""
        return self.of(method)[0].training.method

    def title(self, method: str) -> str:
        """The name that figures and tables print."""
        return self.about(method).title

    def named(self, methods: Iterable[str]) -> str:
        """Titles for a sentence, joined by commas; a comma within a title becomes a bracket."""
        parts = [self.title(method).split(", ", 1) for method in methods]
        return ", ".join(f"{part[0]} ({part[1]})" if len(part) > 1 else part[0] for part in parts)

    def family(self, method: str) -> str:
        """reference, classical, quantum or control."""
        return self.about(method).family

    def in_family(self, *families: str) -> list[str]:
        """Methods of the given families, in the order of the params."""
        return [method for method in self.methods if self.family(method) in families]

    @cached_property
    def frame(self) -> pd.DataFrame:
        """(method, seed) → corpus values, training costs, parameters; NaN where nothing was measured."""
        rows = [
            run.scores["corpus"] | asdict(run.training.cost) | asdict(run.training.parameters)
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

    def per_prompt(self, method: str, metric: str) -> Array:
        """A metric of each prompt alone: (S, P)."""
        return np.array([[row[metric] for row in run.scores["prompts"]] for run in self.of(method)], dtype=float)

    def bleu_statistics(self, method: str) -> Array:
        """Sufficient statistics of corpus BLEU: (S, P, 10)."""
        rows = [[row["bleu_statistics"] for row in run.scores["prompts"]] for run in self.of(method)]
        return np.array(rows, dtype=float)

    def likelihoods(self, method: str, kind: str = "likelihood") -> tuple[Array, Array]:
        """Negative log-likelihoods and token counts of the scored texts: (S, P) and (S, P)."""
        rows = np.array([[row[1:] for row in run.scores["likelihoods"][kind]] for run in self.of(method)], dtype=float)
        return rows[..., 0], rows[..., 1]

    def likelihood_ids(self, kind: str = "likelihood") -> list[str]:
        """The ids of the scored texts, in order."""
        return [row[0] for row in self.of(self.methods[0])[0].scores["likelihoods"][kind]]

    def losses(self, method: str) -> Array:
        """Training losses: (S, T); T is 0 where nothing was trained."""
        return np.stack([run.curve["loss"] for run in self.of(method)])

    def trainable(self, method: str) -> int:
        """Number of trainable parameters."""
        return self.of(method)[0].training.parameters.trainable


def read(settings: Params) -> Results:
    """Read all runs of the params.

    Raises:
        InputError: a run is missing, or runs were scored on different prompts.
    """
    runs = {(method, seed): _read_run(layout.Run(method, seed)) for method, seed in settings.runs}
    _check_titles(runs)
    _check_pairing(runs)
    test = {row.id: row for row in files.read_rows(layout.split("test"), Example)}
    tunings = {method: _tuning(method) for method in settings.methods}
    return Results(settings, runs, tunings, files.read_json(layout.SUMMARY, Preparation), test)


def _tuning(method: str) -> Tuning:
    """A method's rates; numbers that params.yaml gives come with the search kept in git that found them, if any."""
    used, recorded = files.read_json(layout.tuned(method), Tuning), layout.recorded_tuning(method)
    if used.search is None and recorded.exists():
        found = files.read_json(recorded, Tuning)
        return found if found.rates == used.rates else used
    return used


def _read_run(run: layout.Run) -> RunResult:
    points = files.read_csv(run.curve, CurvePoint)
    steps = pd.Index([point.step for point in points], name="step", dtype=int)
    return RunResult(
        training=files.read_json(run.cost, TrainingRecord),
        curve=pd.DataFrame({"loss": [point.loss for point in points]}, index=steps, dtype=float),
        scores=files.read_json(run.scores, dict),
        answers=files.read_rows(run.predictions / "answers.jsonl", Answer),
    )


def _check_titles(runs: dict[tuple[str, int], RunResult]) -> None:
    """Tables and figures name a method by its title alone."""
    methods: dict[str, str] = {}
    for (method, _), run in runs.items():
        title = run.training.method.title
        if methods.setdefault(title, method) != method:
            raise InputError(f"methods: {methods[title]} and {method} share the title {title!r}; change one of them.")


def _check_pairing(runs: dict[tuple[str, int], RunResult]) -> None:
    """Every comparison pairs runs by prompt and by step, so all must have seen the same ones."""
    keys = list(runs)
    first = runs[keys[0]]
    steps = {key: len(run.curve) for key, run in runs.items() if len(run.curve)}
    for key, run in runs.items():
        same = run.prompts == first.prompts == [answer.id for answer in run.answers]
        for kind, rows in first.scores["likelihoods"].items():
            same = same and [row[0] for row in run.scores["likelihoods"].get(kind, [])] == [row[0] for row in rows]
        if not same:
            raise InputError(
                f"data/scores: {_name(key)} and {_name(keys[0])} were scored on different prompts, so they cannot "
                f"be compared; run `dvc repro`, which brings all runs to one state."
            )
    if len(set(steps.values())) > 1:
        few, many = min(steps, key=steps.__getitem__), max(steps, key=steps.__getitem__)
        raise InputError(
            f"data/curves: {_name(few)} has {steps[few]} steps and {_name(many)} {steps[many]}; "
            f"run `dvc repro`, which brings all runs to one state."
        )


def _name(key: tuple[str, int]) -> str:
    return layout.Run(*key).key
