"""Which rates to try: low-discrepancy points over a method's whole ranges, then a few in a box around the best.

This is Fang and Wang's sequential number-theoretic optimisation (Number-theoretic Methods in Statistics, 1994, ch. 3)
on good lattice points, in the logarithm of the rates. Every rate is tried at as many levels as there are points, so the
number of trials need not grow with the number of rates, as it would on a grid. No random number is drawn.
"""

import math
from collections.abc import Mapping

import numpy as np

from ketune.ground.checks import Range

GENERATORS = (1, 3, 5, 7)  # odd, so that every rate takes each level once where the number of points is a power of two
DIGITS = 3  # of a rate: trials that lie closer than that do not differ


def over(ranges: Mapping[str, Range], count: int) -> list[dict[str, float]]:
    """`count` points over the whole of `ranges`; a power of two, at which they fill every range evenly."""
    return _spread({name: (math.log(span.ends[0]), math.log(span.ends[1])) for name, span in ranges.items()}, count)


def around(
    centre: Mapping[str, float], ranges: Mapping[str, Range], reach: float, count: int
) -> list[dict[str, float]]:
    """`count` points (a power of two, or none) on both sides of `centre`, not beyond the ranges.

    Args:
        reach: half the box's side, as a part of the logarithm of each range.
    """
    box = {}
    for name, allowed in ranges.items():
        low, high, middle = map(math.log, (*allowed.ends, centre[name]))
        far = reach * (high - low)
        box[name] = (max(low, middle - far), min(high, middle + far))
    return _spread(box, count)


def _spread(box: Mapping[str, tuple[float, float]], count: int) -> list[dict[str, float]]:
    if not box or not count:
        return []
    lattice = np.outer(np.arange(count), GENERATORS[: len(box)]) % count
    unit = (lattice + 0.5) / count  # (count, rates): the middles of the levels
    low, high = np.array(list(box.values())).T
    return [
        {name: float(f"{math.exp(x):.{DIGITS}g}") for name, x in zip(box, point, strict=True)}
        for point in low + unit * (high - low)
    ]
