"""The metrics of a run. Each file of this room is one, or a few that share their computation; none is listed.

A metric reads one kind of predictions and gives, for each row of it, numbers that add up over rows; the score is a
function of their totals. So the score of any of the rows, such as all but one, follows from adding up their numbers,
without knowing which metric it is. A file whose name starts with _ holds what metrics share and is none. Importing this
room loads neither torch nor the libraries that the numbers come from.
Shapes: P rows, K numbers a row.
"""

import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ketune.ground.contrasts import Contrast
from ketune.ground.errors import InputError, nearest
from ketune.ground.params import Score
from ketune.records.predictions import PREDICTIONS
from ketune.records.scores import MetricScore, RunScores

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One number that a run is scored with.

    Attributes:
        key: its name in files: data/scores, reports/metrics, reports/scores.csv.
        title: its name in tables and figures.
        unit: what it is measured in.
        digits: decimals that tables print.
        lower_is_better: True of a loss.
        reads: the kind of predictions it is computed from, a key of `PREDICTIONS`.
        sums: (rows, settings) → numbers that add up over rows (P, K).
        total: sums of any rows (..., K) → their score (...).
        signature: how it was computed. Scores of different signatures do not compare.
    """

    key: str
    title: str
    unit: str
    digits: int
    lower_is_better: bool
    reads: str
    sums: Callable[[Sequence[Any], Score], Array]
    total: Callable[[Array], Array]
    signature: Callable[[Score], str]

    @property
    def heading(self) -> str:
        """The title with an arrow to where better scores lie."""
        return f"{self.title} {'↓' if self.lower_is_better else '↑'}"

    def score(self, rows: Sequence[Any], settings: Score) -> MetricScore:
        """The score of rows, with all that it follows from."""
        sums = self.sums(rows, settings)
        return MetricScore(
            score=float(self.total(sums.sum(axis=0))),
            signature=self.signature(settings),
            sums=tuple(map(tuple, sums.tolist())),
        )


@functools.cache
def every() -> tuple[Metric, ...]:
    """All metrics: the losses first, then those of answers, by title."""
    files = [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]
    found = [metric for file in files for metric in importlib.import_module(f"{__name__}.{file}").METRICS]
    return tuple(sorted(found, key=lambda metric: (metric.reads == "answers", metric.title)))


def named(key: str) -> Metric:
    """The metric called `key`."""
    return next(metric for metric in every() if metric.key == key)


def check(declared: Sequence[Contrast]) -> None:
    """Whether each of plan.contrasts names a metric.

    Raises:
        InputError: one does not.
    """
    keys = [metric.key for metric in every()]
    for i, one in enumerate(declared):
        if one.metric not in keys:
            raise InputError(
                f"plan.contrasts[{i}]: unknown metric {one.metric!r}; there are {', '.join(keys)}."
                f"{nearest(one.metric, keys)}"
            )


def score(predictions: Mapping[str, Sequence[Any]], settings: Score) -> RunScores:
    """Every metric of a run's predictions (kind → rows)."""
    return RunScores(
        ids={kind: tuple(row.id for row in predictions[kind]) for kind in PREDICTIONS},
        metrics={metric.key: metric.score(predictions[metric.reads], settings) for metric in every()},
    )


def averaged(values: ArrayLike) -> Array:
    """The sums of a metric that is a mean over rows: each value and a 1; their total is a `ratio`."""
    column = np.asarray(values, dtype=np.float64)
    return np.stack([column, np.ones_like(column)], axis=-1)


def ratio(totals: Array) -> Array:
    """First number over second: (..., 2) → (...)."""
    return totals[..., 0] / totals[..., 1]
