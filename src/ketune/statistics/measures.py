"""The sums per prompt from which a score follows, so that no score is averaged that is not a mean.

A measure holds, for each seed and prompt, numbers that add up over prompts; a run's score is a function of the totals:
sum over count for a mean, numerator over denominator for loss per token, BLEU for n-gram matches. The score of a
method is the mean of its runs' scores. Shapes: S seeds, P prompts, K numbers per prompt.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ketune.ground.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Measure:
    """One metric of one method over its seeds and prompts.

    Attributes:
        sums: numbers that add up over prompts (S, P, K).
        score: totals (..., K) → score (...) of what they are totals of, a run or a single prompt.
        lower_is_better: True of a loss.

    Raises:
        InputError: the sums have another shape, nothing is there, or a number is not finite.
    """

    sums: Array
    score: Callable[[Array], Array]
    lower_is_better: bool

    def __post_init__(self) -> None:
        object.__setattr__(self, "sums", _finite(self.sums, 3, "sums", "(seeds, prompts, numbers)"))

    @property
    def seeds(self) -> int:
        """S."""
        return self.sums.shape[0]

    @property
    def prompts(self) -> int:
        """P."""
        return self.sums.shape[1]

    def by_seed(self) -> Array:
        """Score of each run (S,)."""
        return self.score(self.sums.sum(axis=1))

    def by_prompt(self) -> Array:
        """Score of each prompt on its own (S, P)."""
        return self.score(self.sums)


def mean(scores: ArrayLike, *, lower_is_better: bool = False) -> Measure:
    """A metric that is a mean over prompts.

    Args:
        scores: (S, P).

    Raises:
        InputError: the shape is another, nothing is there, or a score is not finite.
    """
    values = _finite(scores, 2, "scores", "(seeds, prompts)")
    sums = np.stack([values, np.ones_like(values)], axis=-1)
    return Measure(sums, _ratio_of_sums, lower_is_better)


def _ratio_of_sums(totals: Array) -> Array:
    return totals[..., 0] / totals[..., 1]


def _finite(given: Any, dimensions: int, name: str, shape: str) -> Array:
    try:
        values = np.array(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: {error}; give one number for each of {shape}.") from error
    if values.ndim != dimensions or 0 in values.shape:
        raise InputError(f"{name}: shape {values.shape} is given, {shape} with at least one of each is needed.")
    if not np.isfinite(values).all():
        spot = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise InputError(f"{name}: {values[spot]} at {spot} is given, all must be finite; score that run again.")
    return values
