"""Corpus chrF as something that can be resampled: counts of character n-grams that add up over prompts.

Score files keep chrF's value and not its counts, so they are counted again here, with sacrebleu's defaults: n-grams
of 1 to 6 characters without white space, beta 2. Source: Popović 2015; sacrebleu (arXiv:1804.08771).
"""

from collections import Counter
from functools import lru_cache

import numpy as np

from ketune.report.results import Array, Results
from ketune.statistics import Measure

ORDER = 6
BETA_SQUARED = 4.0


def measure(results: Results, method: str) -> Measure:
    """chrF of a method's answers."""
    counts = [[counted(a.prediction, a.reference) for a in run.answers] for run in results.of(method)]
    return Measure(np.array(counts, dtype=float), score, score, lower_is_better=False)


def counted(prediction: str, reference: str) -> list[int]:
    """For n from 1 to 6: n-grams of the prediction, of the reference, and those in common: 18 numbers."""
    numbers = []
    for ours, theirs in zip(_ngrams(prediction), _ngrams(reference), strict=True):
        # an order that the reference is too short for does not count
        numbers += [ours.total() if theirs else 0, theirs.total(), (ours & theirs).total()]
    return numbers


@lru_cache(maxsize=1024)  # every run has the same references
def _ngrams(text: str) -> tuple[Counter[str], ...]:
    letters = "".join(text.split())
    return tuple(Counter(letters[i : i + n] for i in range(len(letters) - n + 1)) for n in range(1, ORDER + 1))


def score(totals: Array) -> Array:
    """chrF from 0 to 100 of summed counts: (..., 18) → (...); orders absent on either side do not count."""
    ours, theirs, common = totals[..., 0::3], totals[..., 1::3], totals[..., 2::3]
    there = (ours > 0) & (theirs > 0)
    orders = np.maximum(there.sum(axis=-1), 1)
    precision = np.where(there, common / np.maximum(ours, 1.0), 0.0).sum(axis=-1) / orders
    recall = np.where(there, common / np.maximum(theirs, 1.0), 0.0).sum(axis=-1) / orders
    below = BETA_SQUARED * precision + recall
    return np.where(below > 0, 100 * (1 + BETA_SQUARED) * precision * recall / np.where(below > 0, below, 1.0), 0.0)
