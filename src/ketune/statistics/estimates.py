"""A score or a difference of two, and all that follows from its standard error and degrees of freedom.

The seeds' own testimony stands beside it: the sign-flip test, which borrows nothing from other arms and assumes only
that two like methods are as likely to differ up as down in a seed.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from ketune.statistics.measures import Array

SEEDS_NEEDED = 3
POWER = 0.8  # of `detectable`: found four times in five
_EXACT = 16  # seeds whose 2**S sign patterns are all counted; of more seeds, as many patterns are drawn
_BLOCK = 2**20  # sums that are held at once, 8 MiB


@dataclass(frozen=True)
class Interval:
    """A score or difference with its interval; with fewer than three seeds that covers references only."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Estimate:
    """A score, or the difference of two paired by seed and reference.

    Attributes:
        by_seed: its value in each seed (S,).
        prompts: number of references.
        standard_error: of the mean over seeds and references.
        degrees: its degrees of freedom.
        scatter: the degrees of freedom by which the standard error itself varies from study to study.
        borrowed: the seeds' variance was moderated by that of other comparisons.
    """

    by_seed: Array
    prompts: int
    standard_error: float
    degrees: float
    scatter: float
    borrowed: bool

    @property
    def value(self) -> float:
        """Mean over seeds."""
        return float(self.by_seed.mean())

    @property
    def seeds(self) -> int:
        """S."""
        return self.by_seed.size

    @property
    def seeds_missing(self) -> bool:
        """Fewer than three seeds: everything speaks of these very runs."""
        return self.seeds < SEEDS_NEEDED

    def interval(self, confidence: float) -> Interval:
        """Equal-tailed interval by Student's t."""
        reach = self.reach(1.0 - confidence)
        return Interval(self.value, self.value - reach, self.value + reach)

    def reach(self, alpha: float) -> float:
        """Half-width of the interval that misses with probability `alpha`."""
        return 0.0 if self.standard_error == 0 else -_quantile(self.degrees, alpha / 2) * self.standard_error

    def p_value(self) -> float:
        """Two-sided, of no difference. Equal outputs have p = 1."""
        if self.standard_error == 0:
            return float(self.value == 0)
        return float(2.0 * stdtr(self.degrees, -abs(self.value) / self.standard_error))

    def within(self, margin: float, alpha: float) -> bool:
        """Two one-sided tests at `alpha` (Schuirmann 1987): the difference lies within ±margin."""
        return abs(self.value) + self.reach(2.0 * alpha) < margin

    def beyond(self, margin: float, alpha: float) -> bool:
        """The whole interval at `alpha` lies outside of ±margin."""
        return abs(self.value) - self.reach(alpha) > margin

    def detectable(self, alpha: float) -> float:
        """The true difference that a study like this one finds at level `alpha` with probability `POWER`.

        The next study has a standard error of its own, so both scatter: with c the mean of a standard error in units of
        the true one, a difference k standard errors large is found where k·s₁ + noise > t·s₂, and k solves
            (k - t) c = z √(1 + (k² + t²)(1 - c²))
        with z the normal quantile of `POWER`. For many degrees of freedom that is k = t + z.

        With fewer than three seeds no difference is ever found, so it is infinite.
        """
        if self.seeds_missing:
            return np.inf
        return self.standard_error * standard_errors_needed(self.degrees, self.scatter, alpha)

    @cached_property
    def p_seeds(self) -> float:
        """Of the sign-flip test over seeds."""
        return float(sign_flip_p(self.by_seed))


def sign_flip_p(by_seed: Array) -> Array:
    """Sign-flip test over seeds (Fisher 1935), two-sided: differences (..., S) → p (...), never below 2**(1 - S)."""
    rows = by_seed.reshape(-1, by_seed.shape[-1])
    slack = 1e-12 * np.abs(rows).sum(axis=1, keepdims=True)  # equal but for rounding counts as equal
    observed = np.abs(rows.sum(axis=1, keepdims=True)) - slack
    flips = _flips(rows.shape[1])
    reached, step = np.zeros(len(rows)), max(1, _BLOCK // len(rows))
    for start in range(0, flips.shape[1], step):
        sums = rows @ (1.0 - 2.0 * flips[:, start : start + step])
        reached += (np.abs(sums) >= observed).sum(axis=1)
    return (reached / flips.shape[1]).reshape(by_seed.shape[:-1])


def _flips(seeds: int) -> NDArray[np.int8]:
    """Sign patterns (S, patterns), 1 for a flip, the first without any; a pattern and its opposite count once."""
    if seeds > _EXACT:
        drawn = np.random.default_rng(0).integers(0, 2, (seeds, 2**_EXACT), dtype=np.int8)
        drawn[:, 0] = 0
        return drawn
    return ((np.arange(2 ** (seeds - 1)) >> np.arange(seeds)[:, None]) & 1).astype(np.int8)


def seeds_to_confirm(alpha: float) -> int:
    """The fewest seeds with which the sign-flip test can reach `alpha`: 6 for 0.05, 8 for 0.05 over four."""
    return 1 + int(np.ceil(np.log2(1.0 / alpha)))


def standard_errors_needed(degrees: float, scatter: float, alpha: float) -> float:
    """`Estimate.detectable` in standard errors; infinite where the scatter of standard errors leaves no solution."""
    critical, quantile = -_quantile(degrees, alpha / 2), _quantile(np.inf, POWER)
    ratio = 1.0 - 1.0 / (4.0 * scatter)  # mean of s/σ, to order 1/scatter
    spread = quantile**2 * (1.0 - ratio**2)
    square = ratio**2 - spread  # of k
    if square <= 0:
        return np.inf
    constant = ratio**2 * critical**2 - quantile**2 - spread * critical**2
    half = ratio**2 * critical
    return float((half + np.sqrt(half**2 - square * constant)) / square)


def _quantile(degrees: float, level: float) -> float:
    return float(stdtrit(min(degrees, 1e10), level))
