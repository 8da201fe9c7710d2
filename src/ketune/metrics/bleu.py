"""BLEU: corpus BLEU of whole runs with sacrebleu's defaults: tokenizer 13a, 1- to 4-grams, exponential smoothing.

sacrebleu counts; what the counts are worth is computed here, for any number of totals at once, and the tests hold it to
sacrebleu's own score. Sources: Papineni et al. 2002; Post 2018 (arXiv:1804.08771).
"""

from functools import partial

import numpy as np

from ketune.metrics import Array, Metric, _sacrebleu


def total(sums: Array) -> Array:
    """BLEU from 0 to 100: (..., 10) → (...); without any match, or any 4-gram, 0.

    The numbers are lengths of prediction and reference, matches of 1- to 4-grams, and n-grams of the prediction. Each
    order without a match gets half the precision that the one before it got of one match (mteval-v13a).
    """
    sums = np.asarray(sums, dtype=np.float64)
    length, reference_length, matches, ngrams = sums[..., 0], sums[..., 1], sums[..., 2:6], sums[..., 6:]
    there = ngrams > 0
    halvings = np.cumsum(matches == 0, axis=-1)
    precisions = np.where(matches > 0, matches, 0.5**halvings) / np.where(there, ngrams, 1.0)
    brevity = np.minimum(0.0, 1.0 - reference_length / np.maximum(length, 1e-12))  # log of the penalty
    score = 100.0 * np.exp(brevity + np.log(precisions).mean(axis=-1))
    return np.where(matches.any(axis=-1) & there.all(axis=-1), score, 0.0)


METRICS = [
    Metric(
        key="bleu", title="BLEU", unit="0 to 100", digits=2, lower_is_better=False, reads="answers",
        sums=partial(_sacrebleu.counts, "BLEU"), total=total, signature=partial(_sacrebleu.signature, "BLEU"),
    )
]  # fmt: skip
