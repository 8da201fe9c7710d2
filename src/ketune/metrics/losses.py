"""Losses: mean negative log-likelihood per token (nats), all texts together, of test references and of neutral text.

A reference's loss counts its own tokens and the end-of-text token, not the prompt; neutral text counts every token but
the first, which has no context. What tuning raises of the second is what it made the model forget.
"""

from collections.abc import Sequence

import numpy as np

from ketune.ground.errors import InputError
from ketune.ground.params import Score
from ketune.metrics import Array, Metric, ratio
from ketune.records.predictions import Likelihood


def sums(rows: Sequence[Likelihood], settings: Score) -> Array:
    """Negative log-likelihood and number of tokens of each text.

    Raises:
        InputError: a text without a token that counts.
    """
    for row in rows:
        if row.tokens < 1:
            raise InputError(f"data/predictions: text {row.id} has no token that counts; run `dvc repro --force`.")
    return np.array([[row.negative_log_likelihood, row.tokens] for row in rows])


def signature(settings: Score) -> str:
    """Nothing of it can be set."""
    return "sum of negative log-likelihoods over sum of tokens"


METRICS = [
    Metric(
        key="loss", title="Held-out loss", unit="nats per token", digits=3, lower_is_better=True,
        reads="likelihood", sums=sums, total=ratio, signature=signature,
    ),
    Metric(
        key="retention_loss", title="Retention loss", unit="nats per token of neutral text", digits=3,
        lower_is_better=True, reads="retention", sums=sums, total=ratio, signature=signature,
    ),
]  # fmt: skip
