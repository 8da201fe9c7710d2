"""How far each part of a method travelled in training: a start that is remembered, and the distance from it."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ketune.records.training import Movement

SAMPLED = (
    1_000_000  # of a larger part, evenly spaced weights are remembered: full fine-tuning would need a second model
)
ANGLES = "angles"  # the rate of parameters that are rotation angles, in radians, unless the adapter says otherwise


class Start:
    """The parts of a method before training, by the optimiser's groups; `movements` afterwards."""

    def __init__(self, groups: Sequence[dict[str, Any]], *, angles_in_radians: bool = True) -> None:
        self.groups = groups
        self.angles = ANGLES if angles_in_radians else None
        self.values = [_sample(group["params"]) for group in groups]

    def movements(self) -> tuple[Movement, ...]:
        """The distance between what the parts were and what they are now."""
        pairs = zip(self.groups, self.values, strict=True)
        return tuple(
            _movement(group["rate"], start, _sample(group["params"]), radians=group["rate"] == self.angles)
            for group, start in pairs
        )


def _sample(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Up to SAMPLED weights of a part, flat, copied."""
    parameters = list(parameters)
    stride = 1 + sum(p.numel() for p in parameters) // SAMPLED
    return torch.cat([p.detach().flatten()[::stride].float().cpu() for p in parameters])


def _movement(part: str, start: Tensor, end: Tensor, *, radians: bool) -> Movement:
    change, norm = (end - start).abs(), float(start.norm())
    if radians:
        median, largest = float(change.median()), float(change.max())
        return Movement(part=part, unit="radians", distance=median, largest=largest)
    distance = float(change.norm())
    return Movement(part=part, unit="relative" if norm else "norm", distance=distance / (norm or 1.0), largest=None)
