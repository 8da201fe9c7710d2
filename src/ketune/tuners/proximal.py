"""What zeroes SoRA's gates: a soft threshold, and a number of ranks to keep.

It knows vectors of gates, and no adapter.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def gathered(vectors: Sequence[Tensor]) -> Tensor:
    """One after another, on the device of the first: the maps of a model may be spread over several."""
    return torch.cat([vector.to(vectors[0].device) for vector in vectors])


def soft_threshold(values: Tensor, threshold: float) -> Tensor:
    """sign(v) max(|v| - threshold, 0), exactly 0 for |v| up to the threshold."""
    return values.sign() * (values.abs() - threshold).clamp_min(0)


def largest(values: Tensor, count: int, threshold: float) -> Tensor:
    """The `count` values of largest size, soft-thresholded by so little that none of them dies; 0 elsewhere."""
    size, order = values.abs().sort(descending=True, stable=True)
    survivors = soft_threshold(values, min(threshold, float(size[count - 1]) / 2))
    return torch.zeros_like(values).index_copy_(0, order[:count], survivors[order[:count]])
