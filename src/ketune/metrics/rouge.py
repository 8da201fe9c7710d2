"""ROUGE-1, ROUGE-2 and ROUGE-L: mean F-measures of unigrams, bigrams and the longest common subsequence, times 100.

Words are stemmed, as in most papers. Source: Lin 2004, by the package rouge-score.
"""

import importlib.metadata
from collections.abc import Sequence
from functools import partial

from ketune.ground.params import Score
from ketune.metrics import Array, Metric, averaged, ratio
from ketune.records.predictions import Answer


def sums(variant: str, answers: Sequence[Answer], settings: Score) -> Array:
    """Each answer's F-measure, as part of a mean: (P, 2)."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer([variant], use_stemmer=True)
    return averaged([100 * scorer.score(a.reference, a.prediction)[variant].fmeasure for a in answers])


def signature(settings: Score) -> str:
    """The package's version and what it was told."""
    version = importlib.metadata.version("rouge-score")
    return f"f-measure|stemmer:yes|aggregate:mean|rouge-score:{version}"


METRICS = [
    Metric(
        key=variant, title=title, unit="0 to 100", digits=2, lower_is_better=False, reads="answers",
        sums=partial(sums, variant), total=ratio, signature=signature,
    )
    for variant, title in (("rouge1", "ROUGE-1"), ("rouge2", "ROUGE-2"), ("rougeL", "ROUGE-L"))
]  # fmt: skip
