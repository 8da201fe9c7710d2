"""What zeroes SoRA's gates: a soft threshold, and a number of ranks to keep.

It knows vectors of gates, and no adapter.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.nn.functional import softshrink

from ketune.ground.errors import InputError


def require_whole(gates: Sequence[tuple[Tensor, int]]) -> None:
    """Whether each vector of gates is all there, as long as it was made.

    Raises:
        InputError: one is spread over processes.
    """
    if any(isinstance(gate, DTensor) or len(gate) != length for gate, length in gates):
        raise InputError(
            "sora: the gates are spread over processes (FSDP), and a proximal step compares all of them; train with "
            "whole weights in each process (DDP), or without ketune.ProximalStep()."
        )


def gathered(vectors: Sequence[Tensor]) -> Tensor:
    """One after another, on the device of the first: the maps of a model may be spread over several."""
    return torch.cat([vector.to(vectors[0].device) for vector in vectors])


def largest(values: Tensor, count: int, threshold: float) -> Tensor:
    """The `count` values of largest size, soft-thresholded by so little that none of them dies; 0 elsewhere."""
    size, order = values.abs().sort(descending=True, stable=True)
    survivors = softshrink(values, min(threshold, float(size[count - 1]) / 2))
    return torch.zeros_like(values).index_copy_(0, order[:count], survivors[order[:count]])
