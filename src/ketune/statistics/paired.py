"""Paired tests over prompts: these very runs, other prompts. What other seeds would give is the intervals' business.

Sources: approximate randomisation, Noreen 1989 and Riezler and Maxwell 2005; paired bootstrap, Koehn 2004; the "+1" of
every p-value, Davison and Hinkley 1997. Departure from sacrebleu, which counts strictly larger differences and so gives
identical systems the smallest p there is: equal ones count too, and identical systems have p = 1.
"""

import numpy as np

from ketune.statistics.intervals import Interval, Resampling, draw, paired
from ketune.statistics.measures import Array, Measure, mean


def approximate_randomisation(method: Measure, other: Measure, resampling: Resampling) -> float:
    """Two-sided p-value when the two methods' outputs to a prompt are swapped at random, all seeds together.

    For a mean this flips the signs of the seed-averaged differences; BLEU and ratios are computed from swapped sums.

    Raises:
        InputError: the two differ in seeds, prompts or kind of metric.
    """
    paired(method, other)
    generator = resampling.generator(1)
    gap = other.sums - method.sums  # (S, P, K)
    first, second = method.sums.sum(axis=1), other.sums.sum(axis=1)  # (S, K)
    swapped = []
    for size in resampling.blocks(method.prompts):
        swaps = generator.integers(2, size=(size, method.prompts)).astype(np.float64)
        moved = np.tensordot(swaps, gap, axes=(1, 1))  # (R, S, K)
        swapped.append((method.score(first + moved) - method.score(second - moved)).mean(axis=-1))
    observed = (method.by_seed() - other.by_seed()).mean()
    return _p_value(np.abs(np.concatenate(swapped)), abs(float(observed)))


def paired_bootstrap(method: Measure, other: Measure, resampling: Resampling) -> float:
    """p-value of sacrebleu's and Moses' paired bootstrap over prompts; a cross-check, never part of a verdict.

    Its statistic is |d*| - mean |d*|: for a clear difference that is one-sided, about half a two-sided p.

    Raises:
        InputError: the two differ in seeds, prompts or kind of metric.
    """
    paired(method, other)
    generator = resampling.generator(2)
    resampled = []
    for size in resampling.blocks(method.prompts):
        counts = generator.multinomial(method.prompts, np.full(method.prompts, 1 / method.prompts), size=size)
        weights = counts.astype(np.float64)
        resampled.append((method.weighted(weights) - other.weighted(weights)).mean(axis=-1))
    distances = np.abs(np.concatenate(resampled))
    observed = abs(float((method.by_seed() - other.by_seed()).mean()))
    return _p_value(distances - distances.mean(), observed)


def probability_of_improvement(method: Measure, other: Measure, resampling: Resampling) -> Interval:
    """Probability that `method` beats `other` on a prompt, same seed, a tie being half a win (arXiv:2108.13264).

    BLEU and ratios are taken prompt by prompt. Departure: runs are paired by seed, as everywhere here, where the source
    takes all pairs. The interval is that of the mean of wins, cut to 0 to 1.

    Raises:
        InputError: the two differ in seeds, prompts or kind of metric.
    """
    paired(method, other)
    gap = method.by_prompt() - other.by_prompt()  # (S, P)
    wins = (np.sign(-gap if method.lower_is_better else gap) + 1.0) / 2.0
    found = draw(mean(wins), None, resampling).interval(resampling.confidence)
    low, high = max(0.0, found.low), min(1.0, found.high)
    return Interval(found.value, low, high, found.seeds, found.prompts, found.seeds_missing)


def _p_value(statistics: Array, observed: float) -> float:
    slack = 1e-12 * max(1.0, observed)  # equal but for rounding counts as equal
    return float((np.sum(statistics >= observed - slack) + 1) / (statistics.size + 1))
