"""chrF: F-score of character n-grams, corpus-wide, with sacrebleu's defaults: 1- to 6-grams without space, beta 2.

sacrebleu counts; what the counts are worth is computed here, for any number of totals at once, and the tests hold it to
sacrebleu's own score. Sources: Popović 2015; Post 2018 (arXiv:1804.08771).
"""

from functools import partial

import numpy as np

from ketune.metrics import Array, Metric, _sacrebleu

BETA_SQUARED = 4.0


def total(sums: Array) -> Array:
    """chrF from 0 to 100: (..., 18) → (...); orders that are absent on either side do not count.

    The numbers are, for each order, n-grams of the prediction, of the reference, and those in common.
    """
    ours, theirs, common = sums[..., 0::3], sums[..., 1::3], sums[..., 2::3]
    there = (ours > 0) & (theirs > 0)
    orders = np.maximum(there.sum(axis=-1), 1)
    precision = np.where(there, common / np.maximum(ours, 1.0), 0.0).sum(axis=-1) / orders
    recall = np.where(there, common / np.maximum(theirs, 1.0), 0.0).sum(axis=-1) / orders
    below = BETA_SQUARED * precision + recall
    return np.where(below > 0, 100 * (1 + BETA_SQUARED) * precision * recall / np.where(below > 0, below, 1.0), 0.0)


METRICS = [
    Metric(
        key="chrf", title="chrF", unit="0 to 100", digits=2, lower_is_better=False, reads="answers",
        sums=partial(_sacrebleu.counts, "CHRF"), total=total, signature=partial(_sacrebleu.signature, "CHRF"),
    )
]  # fmt: skip
