"""What other comparisons of a study tell about the seeds' variance of this one.

With three seeds a difference's variance over seeds has two degrees of freedom, and Student's t then asks for 4.3
standard errors. A study has many arms, and each pair of them shows such a variance: v ~ σ² χ²(f)/f, f = S - 1. They
are moderated by empirical Bayes (Smyth 2004, doi:10.2202/1544-6115.1027): σ² is taken as scattered over the pairs
like v₀ d₀/χ²(d₀), both numbers are estimated from the mean and variance of log v, and a pair's variance becomes

    (d₀ v₀ + f v) / (d₀ + f)          with d₀ + f degrees of freedom

Where log v scatters no more than chance makes it, d₀ is infinite and the variances are pooled. Three departures, each
on the careful side:
- A variance is never taken below what the comparison's own seeds show, so an outlying arm keeps its own. Without this
  the fifth of the pairs that vary most is called different too often, for the others vouch for it.
- d₀ is at most the degrees of freedom that all arms have together: pairs share arms, so they know no more.
- Arms whose seed also draws something that training keeps, such as a circuit's angles, take no part: such a draw is a
  factor of its own.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import digamma, polygamma, zeta

FEWEST = 3  # variances; from fewer no scatter can be estimated


@dataclass(frozen=True)
class Prior:
    """How the seeds' variance scatters over comparisons.

    Attributes:
        variance: v₀, that of a typical comparison.
        degrees: d₀, how many degrees of freedom the others are worth.
        most: the degrees of freedom of all arms together, which no moderated variance can exceed.
    """

    variance: float
    degrees: float
    most: float


@dataclass(frozen=True)
class Moderated:
    """A variance over seeds to work with.

    Attributes:
        variance, degrees: with its degrees of freedom.
        scatter: the degrees of freedom by which it varies from study to study. The larger of a known number and of one
            with f degrees of freedom varies like one with 3 f: a half-normal's variance is a third of a normal's.
        borrowed: others had a say.
    """

    variance: float
    degrees: float
    scatter: float
    borrowed: bool


def moderated(own: float, degrees: int, lent: Prior | None) -> Moderated:
    """A comparison's variance drawn towards that of the others, but not below its own."""
    if lent is None:
        return Moderated(own, float(degrees), float(degrees), borrowed=False)
    total = lent.degrees + degrees
    drawn = (lent.degrees * lent.variance + degrees * own) / total
    total = min(total, lent.most)
    return Moderated(max(own, drawn), total, min(total, 3.0 * degrees), borrowed=True)


def prior(variances: ArrayLike, degrees: int, most: float) -> Prior | None:
    """The scatter of `variances`, each with `degrees` degrees of freedom; together they have at most `most`.

    A variance of 0 belongs to a comparison without any randomness and is left out; None where fewer than three remain.
    """
    found = np.asarray(variances, dtype=np.float64)
    found = found[found > 1e-12 * found.max(initial=0.0)]
    if found.size < FEWEST:
        return None
    logarithms = np.log(found) - _mean_log(degrees)
    scatter = float(logarithms.var(ddof=1) - polygamma(1, degrees / 2))
    if scatter <= 0:  # they differ no more than chance makes them
        return Prior(float(found.mean()), most, most)
    prior_degrees = 2 * _inverse_trigamma(scatter)
    variance = float(np.exp(logarithms.mean() + _mean_log(prior_degrees)))
    return Prior(variance, min(prior_degrees, most), most)


def _mean_log(degrees: float) -> float:
    """Mean of log(χ²(degrees)/degrees)."""
    return float(digamma(degrees / 2) - np.log(degrees / 2))


def _inverse_trigamma(value: float) -> float:
    """x with trigamma(x) = ζ(2, x) = value; it lies where 1/x and 1/x + 1/x² bound it."""
    low, high = 1 / value, 1 / value + 1 / math.sqrt(value)
    return float(brentq(lambda x: zeta(2, x) - value, 0.9 * low, 1.1 * high, xtol=1e-14 * low))
