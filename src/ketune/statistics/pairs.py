"""How often one method beats another, and whether their runs go up and down together: plain shares, no tests."""

import numpy as np

from ketune.statistics.measures import Array, Measure
from ketune.statistics.panel import Panel


def probability_of_improvement(method: Measure, other: Measure) -> float:
    """Share of references on which `method` beats `other`, same seed, a tie being half a win (arXiv:2108.13264).

    Departure: runs are paired by seed, as everywhere here, where the source takes all pairs.
    """
    return _wins(method.by_prompt() - other.by_prompt(), method.lower_is_better)


def seeds_won(panel: Panel, method: str, other: str) -> float:
    """Share of seeds in which `method` beats `other`, a tie being half a win."""
    return _wins(panel.by_seed[method] - panel.by_seed[other], panel.lower_is_better)


def agreement(panel: Panel, method: str, other: str) -> float | None:
    """Correlation over seeds of two methods' scores; None with fewer than three seeds or where one does not vary."""
    scores = np.array([panel.by_seed[method], panel.by_seed[other]])  # (2, S)
    if scores.shape[1] < 3 or not np.ptp(scores, axis=1).all():  # two points always lie on a line
        return None
    return float(np.corrcoef(scores)[0, 1])


def _wins(gap: Array, lower_is_better: bool) -> float:
    return float((np.sign(-gap if lower_is_better else gap) + 1.0).mean() / 2.0)
