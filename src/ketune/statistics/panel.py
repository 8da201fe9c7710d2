"""All arms of a study on one metric: the ground on which any two of them are compared.

An arm is a method with its seeds. Every difference is paired by seed and by reference, and its variance over seeds is
moderated by that of the study's other differences (`ketune.statistics.moderation`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ketune.ground.errors import InputError
from ketune.statistics.crossed import Crossed, crossed, influence, satterthwaite
from ketune.statistics.estimates import SEEDS_NEEDED, Estimate
from ketune.statistics.measures import Array, Measure
from ketune.statistics.moderation import Moderated, Prior, moderated, prior

ROUNDING = 1e-5  # standard deviation over seeds as a part of the score; what two processors differ by is less


@dataclass(frozen=True, eq=False)
class Panel:
    """One metric of all arms.

    Attributes:
        measures: arm → its metric, all over the same seeds and references; an arm that ran once, because no seed
            changes it, may have a single seed.
        apart: arms whose seed also draws something that training keeps, such as a circuit's angles. Their comparisons
            keep their own variance, and no other comparison learns from them.
        lending: arms that tell how far runs differ over seeds, such as those that were declared beforehand; None for
            all. No word on them depends on which others ran.
        sampled: the references are a sample of others. False where the rows are all there are, such as the steps of
            training: then seeds alone are random.
    """

    measures: Mapping[str, Measure]
    apart: Collection[str] = ()
    lending: Collection[str] | None = None
    sampled: bool = True

    def __post_init__(self) -> None:
        _check(self.measures)

    @property
    def lower_is_better(self) -> bool:
        """True of a loss."""
        return next(iter(self.measures.values())).lower_is_better

    @cached_property
    def values(self) -> dict[str, Array]:
        """Arm → jackknife values (S, P)."""
        seeds = max(measure.seeds for measure in self.measures.values())
        found = {arm: influence(measure) for arm, measure in self.measures.items()}
        return {arm: np.broadcast_to(rows, (seeds, rows.shape[1])) for arm, rows in found.items()}

    @cached_property
    def by_seed(self) -> dict[str, Array]:
        """Arm → scores of its runs (S,)."""
        return {arm: rows.mean(axis=1) for arm, rows in self.values.items()}

    def estimate(self, arm: str, other: str | None = None) -> Estimate:
        """An arm's score or, with `other`, the difference arm - other, in the metric's own units and sign."""
        values = self.values[arm] if other is None else self.values[arm] - self.values[other]
        table = crossed(values)
        parts = table.prompt_parts() if self.sampled else []
        if table.seeds < SEEDS_NEEDED:
            variance, degrees = table.over_prompts() if self.sampled else (np.inf, 1.0)
            return Estimate(table.by_seed, table.prompts, float(np.sqrt(variance)), degrees, degrees, borrowed=False)
        seeds = self.between_seeds(table, arm, other)
        share = seeds.variance / table.seeds
        variance, degrees = satterthwaite([(share, seeds.degrees), *parts])
        _, scatter = satterthwaite([(share, seeds.scatter), *parts])
        return Estimate(table.by_seed, table.prompts, float(np.sqrt(variance)), degrees, scatter, seeds.borrowed)

    @cached_property
    def margin(self) -> float | None:
        """What two runs of one arm differ by, as the standard deviation of that difference: √2 times a typical arm's.

        Arms that differ by less than a repeated run does are alike for every practical end: the choice of a seed
        matters as much. A share of what tuning gains would need a number that nobody measured, and would be nothing
        where nothing is gained. The typical arm is that of `ketune.statistics.moderation`, not the two compared; the
        repeatability limit of ISO 5725 is twice as wide (1.96 √2). None where fewer than three arms tell it.

        Training losses are another matter: how they scatter over seeds is how hard the drawn batches are, which all
        arms of a seed share. Where rows are all there are, the margin is how the difference of a typical pair scatters.
        """
        found = self._priors.get(1 if self.sampled else 2)
        return float(np.sqrt((2.0 if self.sampled else 1.0) * found.variance)) if found else None

    def between_seeds(self, table: Crossed, arm: str, other: str | None) -> Moderated:
        """The variance over seeds of a comparison whose values are `table`, moderated by the study's others."""
        sides = {side for side in (arm, other) if side is not None}
        lent = None if sides & set(self.apart) else self._priors.get(len(sides & self._varying))
        # the runs' scores vary by what neither seed nor reference explains, whatever a few of them happen to show
        own = max(table.between_seeds, table.rest / table.prompts)
        return moderated(own, table.seeds - 1, lent if table.between_seeds > 0 else None)

    @cached_property
    def lenders(self) -> list[str]:
        """Arms whose variance over seeds tells of other arms."""
        asked = self.by_seed if self.lending is None else self.lending
        return [arm for arm in self.by_seed if arm in asked and arm in self._varying and arm not in self.apart]

    @cached_property
    def _varying(self) -> set[str]:
        """Arms that a seed changes by more than another processor's rounding would."""
        return {arm for arm, scores in self.by_seed.items() if scores.std() > ROUNDING * abs(scores.mean())}

    @cached_property
    def _priors(self) -> dict[int, Prior]:
        """How many of the two sides vary → the prior of such comparisons: of single arms, and of pairs of them."""
        scores = np.array([self.by_seed[arm] for arm in self.lenders])  # (M, S)
        arms = len(scores)
        if not arms or scores.shape[1] < 2:
            return {}
        covariance = np.atleast_2d(np.cov(scores))  # (M, M)
        singles = covariance.diagonal()
        pairs = (singles[:, None] + singles - 2.0 * covariance)[np.triu_indices(arms, k=1)]
        degrees = scores.shape[1] - 1
        found = {1: prior(singles, degrees, arms * degrees), 2: prior(pairs, degrees, (arms - 1) * degrees)}
        return {varying: one for varying, one in found.items() if one is not None}


def _check(measures: Mapping[str, Measure]) -> None:
    """All arms over the same seeds and references, by the same metric."""
    if not measures:
        raise InputError("no arm is given; give at least one method's measure.")
    first = next(iter(measures.values()))
    seeds = max(measure.seeds for measure in measures.values())
    for arm, measure in measures.items():
        if measure.seeds not in (1, seeds) or measure.sums.shape[1:] != first.sums.shape[1:]:
            wanted = (seeds, *first.sums.shape[1:])
            raise InputError(
                f"{arm}: (seeds, prompts, numbers) {measure.sums.shape} is given beside {wanted}; give all arms "
                "the same seeds and prompts in the same order, and the same metric."
            )
        if (measure.score, measure.lower_is_better) != (first.score, first.lower_is_better):
            raise InputError(f"{arm}: another metric than the other arms'; give one metric of all arms.")
