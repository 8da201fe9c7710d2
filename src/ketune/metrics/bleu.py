"""BLEU: corpus BLEU of whole runs with sacrebleu's defaults: tokenizer 13a, 1- to 4-grams, exponential smoothing.

sacrebleu counts; what the counts are worth is computed here, over any number of resamples at once, and the tests hold
it to sacrebleu's own score. Sources: Papineni et al. 2002; Post 2018 (arXiv:1804.08771).
"""

from collections.abc import Sequence
from functools import partial

import numpy as np

from ketune.ground.params import Score
from ketune.metrics import Array, Metric
from ketune.records.predictions import Answer


def sums(answers: Sequence[Answer], settings: Score) -> Array:
    """Lengths of prediction and reference, matches of 1- to 4-grams, and their totals: (P, 10)."""
    from sacrebleu.metrics import BLEU

    predictions, references = [a.prediction for a in answers], [a.reference for a in answers]
    # what sacrebleu's own significance tests resample; it has no public name for it
    return np.array(BLEU()._extract_corpus_statistics(predictions, [references]))


def total(sums: Array, *, effective_order: bool = False) -> Array:
    """BLEU from 0 to 100: (..., 2N + 2) → (...).

    Each order without a match gets half the precision that the one before it got of one match (mteval-v13a). With
    `effective_order`, orders without any n-gram do not count; without, they make the score 0.
    """
    sums = np.asarray(sums, dtype=np.float64)
    orders = sums.shape[-1] // 2 - 1
    length, reference_length = sums[..., 0], sums[..., 1]
    matches, ngrams = sums[..., 2 : 2 + orders], sums[..., 2 + orders :]
    there = ngrams > 0
    halvings = np.cumsum((matches == 0) & there, axis=-1)
    precisions = np.where(matches > 0, matches, 0.5**halvings) / np.where(there, ngrams, 1.0)
    counted = there.sum(axis=-1) if effective_order else np.full(length.shape, orders)
    logarithm = np.where(there, np.log(precisions), 0.0).sum(axis=-1) / np.maximum(counted, 1)
    brevity = np.minimum(0.0, 1.0 - reference_length / np.maximum(length, 1e-12))  # log of the penalty
    usable = matches.any(axis=-1) & (there.all(axis=-1) | effective_order)
    return np.where(usable, 100.0 * np.exp(brevity + logarithm), 0.0)


def signature(settings: Score) -> str:
    """sacrebleu's own."""
    from sacrebleu.metrics import BLEU

    scorer = BLEU()
    scorer.num_refs = 1
    return str(scorer.get_signature())


METRICS = [
    Metric(
        key="bleu", title="BLEU", unit="0 to 100", digits=2, lower_is_better=False, reads="answers", sums=sums,
        total=total, alone=partial(total, effective_order=True), signature=signature,
    )
]  # fmt: skip
