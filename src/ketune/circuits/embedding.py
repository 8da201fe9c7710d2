"""Amplitude embedding: the scale 1 / |x| of every row, for the whole range of the numbers.

A row of zeros has no state: its scale is 0, hence its features are 0 and so is its gradient. So it is for rows whose
largest entry is below the smallest normal number.
"""

from typing import Any

import torch
from torch import Tensor

from ketune.ground.errors import NotFinite


def scales(features: Tensor) -> Tensor:
    """1 / |x| (B,) of features (B, d), 0 for rows of zeros; exact for entries of 1e-30 and 1e30 in fp32 too.

    Raises:
        NotFinite: NaN or infinity (checked on the CPU; on a GPU the check would stop the queue at every call, and the
            features of such a row are NaN instead).
    """
    norm = torch.linalg.vector_norm(features, dim=1)
    if features.device.type == "cpu":
        least, most = torch.aminmax(norm)
        if 1e-15 < least.item() and most.item() < 1e15:  # squares neither vanished nor overflowed
            return norm.reciprocal_()
        if not bool(torch.isfinite(features).all()):
            raise NotFinite("features: NaN or infinity among them; only finite numbers have a state, so look upstream.")
    largest = features.abs().amax(1)
    zero = largest < torch.finfo(features.dtype).tiny
    norm = torch.linalg.vector_norm(features / torch.where(zero, 1, largest)[:, None], dim=1)
    return torch.where(zero, 0, 1 / norm / largest)


def prepared(features: Tensor, qubits: int) -> Tensor:
    """The states (B, 2**qubits) of norm 1 that features (B, d) prepare; rows of zeros, which have none, give |0…0>."""
    states = torch.nn.functional.pad(features * scales(features)[:, None], (0, (1 << qubits) - features.shape[1]))
    states[~states.any(1), 0] = 1
    return states


class Normalise(torch.autograd.Function):
    """Rows of norm 1 (B, d), or of zeros, from features (B, d); the gradient is orthogonal to the row."""

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        scale = scales(features)[:, None]
        unit = features * scale
        ctx.save_for_backward(unit, scale)
        return unit

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        unit, scale = ctx.saved_tensors
        return (grad - (grad * unit).sum(1, keepdim=True) * unit) * scale
