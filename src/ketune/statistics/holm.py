"""Holm's step-down procedure (Holm 1979): as adjusted p-values, and as the level at which each comparison stands."""

from collections.abc import Sequence

import numpy as np

from ketune.ground.errors import InputError


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's step-down adjustment, in the order given.

    Raises:
        InputError: a value is not a probability.
    """
    values = np.asarray(p_values, dtype=np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        raise InputError(
            f"p-values: {list(p_values)} are given, each must lie from 0 to 1; check where they come from."
        )
    order = np.argsort(values, kind="stable")
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * np.arange(values.size, 0, -1)))
    return tuple(adjusted.tolist())


def holm_levels(p_values: Sequence[float], alpha: float) -> tuple[float, ...]:
    """The level at which Holm's procedure judges each: alpha/m for the smallest, alpha/(m - 1) for the next, and so on.

    From the first that fails, all share its level, for there the procedure stops.
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    steps = alpha / np.arange(values.size, 0, -1)
    failing = np.flatnonzero(values[order] > steps)
    levels = np.empty_like(values)
    levels[order] = np.minimum(steps, steps[failing[0]]) if failing.size else steps
    return tuple(levels.tolist())
