"""How a score varies when seeds and references are both random and every seed answers the same references.

    x_sp = mean + seed_s + reference_p + rest_sp              s = 1 … S seeds, p = 1 … P references
    Var(grand mean) = V/S + (B - E)/(SP)                      V: variance of the runs' scores, S - 1 degrees of freedom
                                                              B, E: mean squares of references and of the rest

V/S already holds the rest's share, hence - E. This is the analysis of variance of a two-way table without replication;
for a positive B - E it equals the estimate that a crossed mixed model gives by restricted maximum likelihood.

A score that is no mean over references (a ratio of sums, corpus BLEU) enters through its jackknife values, whose row
means are the runs' scores and whose spread is the score's own (Tukey 1958; Efron and Stein 1981).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ketune.statistics.measures import Array, Measure


def influence(measure: Measure) -> Array:
    """Jackknife values (S, P) of a measure: for a mean the scores themselves."""
    by_seed = measure.by_seed()[:, None]  # (S, 1)
    prompts = measure.prompts
    if prompts == 1:
        return by_seed
    without = measure.score(measure.sums.sum(axis=1, keepdims=True) - measure.sums)  # (S, P): one reference left out
    return by_seed + (prompts - 1) * (without.mean(axis=1, keepdims=True) - without)


@dataclass(frozen=True, eq=False)
class Crossed:
    """The three sources of variation in a table of values (S, P).

    Attributes:
        by_seed: the runs' scores (S,).
        prompts: P.
        between_prompts: B, mean square of the references; infinite for one reference, which tells nothing of others.
        rest: E, mean square of what neither a seed nor a reference explains; 0 for one seed or one reference.
    """

    by_seed: Array
    prompts: int
    between_prompts: float
    rest: float

    @property
    def seeds(self) -> int:
        """S."""
        return self.by_seed.size

    @property
    def between_seeds(self) -> float:
        """V: variance of the runs' scores; 0 for one seed."""
        return float(self.by_seed.var(ddof=1)) if self.seeds > 1 else 0.0

    def over_prompts(self) -> tuple[float, float]:
        """Variance and degrees of freedom of the grand mean over references alone, where seeds are too few to tell."""
        return self.between_prompts / (self.seeds * self.prompts), float(max(1, self.prompts - 1))

    def prompt_parts(self) -> list[tuple[float, float]]:
        """What references add to the variance of the grand mean, as (variance, degrees of freedom); never below 0."""
        cells, degrees = self.seeds * self.prompts, self.prompts - 1
        if self.between_prompts <= self.rest:
            return []
        parts = [(self.between_prompts / cells, float(degrees))]
        return [*parts, (-self.rest / cells, float(degrees * (self.seeds - 1)))] if self.rest > 0 else parts


def crossed(values: Array) -> Crossed:
    """Mean squares of a table (S, P)."""
    seeds, prompts = values.shape
    by_seed, by_prompt = values.mean(axis=1), values.mean(axis=0)
    if prompts == 1:
        return Crossed(by_seed, 1, np.inf, 0.0)
    between = float(seeds * by_prompt.var(ddof=1))
    residual = values - by_seed[:, None] - by_prompt + values.mean()
    rest = float((residual**2).sum() / ((seeds - 1) * (prompts - 1))) if seeds > 1 else 0.0
    return Crossed(by_seed, prompts, between, rest)


def satterthwaite(parts: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """Sum of variances and its degrees of freedom (Satterthwaite 1946), of (variance, degrees of freedom) each."""
    parts = [(variance, degrees) for variance, degrees in parts if variance]
    total = sum(variance for variance, _ in parts)
    if not parts or not np.isfinite(total):
        return total, np.inf if not parts else 1.0
    return total, total**2 / sum(variance**2 / degrees for variance, degrees in parts)
