"""Holm's step-down procedure (Holm 1979)."""

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float], alpha: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(levels, adjusted p-values), each in the order given.

    The smallest is judged at alpha/m, the next at alpha/(m - 1), and so on; from the first that fails, all share its
    level, for there the procedure stops. A p-value is at most its level where the adjusted one is at most alpha.
    """
    values = np.asarray(p_values, dtype=np.float64)
    order, left = np.argsort(values, kind="stable"), np.arange(values.size, 0, -1)
    steps = alpha / left
    failing = np.flatnonzero(values[order] > steps)
    levels, adjusted = np.empty_like(values), np.empty_like(values)
    levels[order] = np.minimum(steps, steps[failing[0]]) if failing.size else steps
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * left))
    return tuple(levels.tolist()), tuple(adjusted.tolist())
