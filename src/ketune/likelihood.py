"""The likelihood that a model gives to texts.

It knows a model; it does not know how the model was tuned.
"""

from collections.abc import Sequence

import torch
from torch import nn

from ketune import language_model
from ketune.records.predictions import Likelihood
from ketune.tokens import Tokens


@torch.inference_mode()
def likelihoods(model: nn.Module, rows: Sequence[Tokens], padding: int) -> list[Likelihood]:
    """Summed negative log-likelihood (nats) and number of the labelled tokens of each row, in the order given."""
    device = next(model.parameters()).device
    order = sorted(range(len(rows)), key=lambda i: (len(rows[i].ids), i))
    found: dict[int, Likelihood] = {}
    for part in language_model.together([len(rows[i].ids) for i in order], language_model.READ_TOGETHER):
        chosen = order[part]
        inputs = language_model.batch([rows[i] for i in chosen], padding)
        counts = [len(rows[i].ids) - rows[i].response for i in chosen]
        losses = language_model.token_losses(model, {key: value.to(device) for key, value in inputs.items()})
        for i, count, values in zip(chosen, counts, losses.double().split(counts), strict=True):
            found[i] = Likelihood(id=rows[i].id, negative_log_likelihood=float(values.sum()), tokens=count)
    return [found[i] for i in range(len(rows))]


def per_token(rows: Sequence[Likelihood]) -> float:
    """Mean negative log-likelihood of a token over all rows, in nats."""
    return sum(row.negative_log_likelihood for row in rows) / sum(row.tokens for row in rows)
