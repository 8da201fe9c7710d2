"""What a study of a given size will find, from the variances that a smaller one has shown.

A pilot tells how a difference varies over seeds, over references and over both; a study of S seeds and P references
then has the standard error that `ketune.statistics.panel` will compute, on average:

    Var = V m / S + σ²(reference) / P          V = σ²(seed) + σ²(rest) / P

where m is what it costs never to take V below what a comparison's own seeds show: V is then the larger of two numbers.
Power is that of the noncentral t test at the level of the word.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincc, nctdtr, stdtrit

from ketune.statistics.crossed import crossed, satterthwaite
from ketune.statistics.estimates import sign_flip_p, standard_errors_needed
from ketune.statistics.panel import Panel

_DRAWS = 4000  # of the seeds' differences, for the sign-flip test; from a fixed start


@dataclass(frozen=True)
class Sources:
    """Where a difference's variation comes from.

    Attributes:
        seed, reference, rest: variances of one seed, one reference, and one answer given both.
        lent: degrees of freedom that the other arms of the pilot lend to its variance over seeds, 0 where it stands
            alone.
        lenders: how many arms lend.
    """

    seed: float
    reference: float
    rest: float
    lent: float
    lenders: int


def sources(pilot: Panel, arm: str, other: str) -> Sources:
    """What a pilot of at least two seeds tells of a difference."""
    table = crossed(pilot.values[arm] - pilot.values[other])
    seeds = pilot.between_seeds(table, arm, other)
    reference = max(0.0, table.between_prompts - table.rest) / table.seeds
    return Sources(
        seed=max(0.0, seeds.variance - table.rest / table.prompts),
        reference=reference,
        rest=table.rest,
        lent=seeds.degrees - (table.seeds - 1) if seeds.borrowed else 0.0,
        lenders=len(pilot.lenders),
    )


@dataclass(frozen=True)
class Design:
    """A study's size, seen from one comparison: its seeds, its references, and the level of its word."""

    seeds: int
    references: int
    level: float


@dataclass(frozen=True)
class Outlook:
    """What a design promises for a comparison: standard error, its degrees of freedom and its scatter."""

    design: Design
    between_seeds: float
    standard_error: float
    degrees: float
    scatter: float

    @property
    def detectable(self) -> float:
        """The true difference that is found four times in five."""
        return self.standard_error * standard_errors_needed(self.degrees, self.scatter, self.design.level)

    def power(self, difference: float) -> float:
        """How often a true difference is called better or worse, as it is."""
        if self.standard_error == 0:
            return 1.0
        critical = -stdtrit(self.degrees, self.design.level / 2)
        return float(1.0 - nctdtr(self.scatter, abs(difference) / self.standard_error, critical))

    def confirmed(self, difference: float) -> float:
        """How often the sign-flip test over seeds reaches the level for a true difference."""
        noise = np.random.default_rng(0).standard_normal((_DRAWS, self.design.seeds))
        drawn = abs(difference) + np.sqrt(self.between_seeds) * noise
        return float(np.mean(sign_flip_p(drawn) <= self.design.level))


def outlook(found: Sources, design: Design) -> Outlook:
    """The design's promise, given the variances that a pilot has shown."""
    own = design.seeds - 1
    between = found.seed + found.rest / design.references
    lent = min(found.lent, (found.lenders - 1) * own) if found.lenders else 0.0
    total = min(lent + own, max(own, (found.lenders - 1) * own))
    share = between * (1.0 + lent / (lent + own) * _excess(own)) / design.seeds
    reference = (found.reference / design.references, float(design.references - 1))
    variance, degrees = satterthwaite([(share, total), reference])
    _, scatter = satterthwaite([(share, min(total, 3.0 * own) if lent else own), reference])
    return Outlook(design, between, float(np.sqrt(variance)), degrees, scatter)


def _excess(degrees: int) -> float:
    """Mean of the larger of 1 and χ²(f)/f, less 1."""
    half = degrees / 2
    return float(gammaincc(half + 1, half) - gammaincc(half, half))
