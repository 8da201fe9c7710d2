"""Whether one method's runs differ more between seeds than another's, the same seeds for both.

Two scores X and Y of a seed have equal variances exactly if X + Y and X - Y are uncorrelated, so a test of that
correlation is one of the variances, whatever X and Y have in common (Pitman 1939; Morgan 1939). It takes the seeds for
a sample from a normal distribution.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from ketune.statistics.measures import Array


@dataclass(frozen=True)
class Spread:
    """Standard deviation over seeds of one method over that of another, with its interval."""

    ratio: float
    low: float
    high: float
    p: float


def spread(first: Array, second: Array, alpha: float) -> Spread | None:
    """The ratio of two methods' deviations over paired seeds (S,), interval at 1 - alpha.

    None with fewer than three seeds, where either does not vary, or where one is a straight line of the other.
    """
    degrees = first.size - 2
    if degrees < 1 or not np.ptp(first) or not np.ptp(second):
        return None
    unlike = 1.0 - float(np.corrcoef(first, second)[0, 1]) ** 2
    if unlike < 1e-12:
        return None
    squared = float(first.var(ddof=1) / second.var(ddof=1))
    statistic = (squared - 1.0) * np.sqrt(degrees) / (2.0 * np.sqrt(squared * unlike))
    middle = 1.0 + 2.0 * unlike * stdtrit(degrees, alpha / 2) ** 2 / degrees
    reach = middle + np.sqrt(middle**2 - 1.0)
    return Spread(
        ratio=float(np.sqrt(squared)),
        low=float(np.sqrt(squared / reach)),
        high=float(np.sqrt(squared * reach)),
        p=float(2.0 * stdtr(degrees, -abs(statistic))),
    )
