"""What sacrebleu does for BLEU and chrF, with its defaults: it counts n-grams and writes a signature.

A score is named as its class there. Source: Post 2018 (arXiv:1804.08771).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ketune.ground.params import Score
from ketune.metrics import Array
from ketune.records.predictions import Answer


def counts(name: str, answers: Sequence[Answer], settings: Score) -> Array:
    """Each answer's counts, from whose totals the score follows: (P, K)."""
    predictions, references = [a.prediction for a in answers], [a.reference for a in answers]
    # what sacrebleu's own significance tests resample; it has no public name for it
    return np.array(_scorer(name)._extract_corpus_statistics(predictions, [references]))


def signature(name: str, settings: Score) -> str:
    """sacrebleu's own."""
    scorer = _scorer(name)
    scorer.num_refs = 1
    return str(scorer.get_signature())


def _scorer(name: str) -> Any:
    from sacrebleu import metrics

    return getattr(metrics, name)()
