"""What zeroes SoRA's gates: a soft threshold, and a number of ranks to keep; and the schedule of both.

It knows vectors of gates, and no adapter.
"""

import math
import warnings
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.nn.functional import softshrink

from ketune.ground.errors import InputError


def progress(start: float, end: float, step: int, steps: int) -> float:
    """How far a schedule between two parts of a run is after `step` of `steps`: from 0 to 1, evenly."""
    first, last = start * steps, end * steps
    return min(1.0, max(0.0, (step - first) / (last - first))) if last > first else float(step >= last)


@lru_cache(maxsize=8)
def shares(start: float, end: float, steps: int) -> float:
    """The sum of that progress over all steps."""
    return math.fsum(progress(start, end, step, steps) for step in range(1, steps + 1))


def warn_of_haste(start: float, end: float, step: int, steps: int) -> None:
    """Warn at the first of several steps where a target is reached there, before training has moved any gate."""
    if step == 1 < steps and progress(start, end, step, steps) == 1:
        warnings.warn(
            f"sora.target_ranks: with sparsity_start {start:g} and sparsity_end {end:g} all ranks beyond the target "
            "die at the first step, by their gates' start; give later parts of the run, such as 0.3 and 0.8.",
            stacklevel=3,
        )


def require_whole(gates: Sequence[tuple[Tensor, int]]) -> None:
    """Whether each vector of gates has its full length.

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
