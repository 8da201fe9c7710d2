"""Which trial wins: objections, noise, ties.

A trial is one training run at given rates; its loss is that on validation records. Candidates are the trials with the
lowest losses to which there is no objection; each is run again on a second seed. From candidates and seeds, crossed,
follows the noise: the standard error of the difference between two candidates' means. Among the candidates within one
standard error of the best, the one with the smallest rates wins (the 1 SE rule of Breiman et al., 1984).
"""

import itertools
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ketune import movement
from ketune.records.training import Trial

ROUNDED = 1.02  # rates have three digits, so that those one step apart may be apart by so much more
FREE, BESIDE_FAILURE, STANDING_STILL, WORSE, DIVERGED = range(5)


@dataclass(frozen=True)
class Objection:
    """What speaks against a trial. Where every trial has an objection, those of the lowest severity compete."""

    severity: int
    words: str


@dataclass(frozen=True)
class Choice:
    """The trial that won, the one with the lowest mean loss (which may be the same), and the noise between them.

    Attributes:
        noise: standard error of the difference of two candidates' mean losses, nats per token; None where it cannot be
            estimated, from fewer than two candidates.
    """

    winner: Trial
    best: Trial
    noise: float | None


def size(rates: Mapping[str, float]) -> float:
    """What "smaller rates" compares: the mean of their logarithms."""
    return math.fsum(map(math.log, rates.values())) / len(rates)


def shown(rates: Mapping[str, float]) -> str:
    """Rates in a sentence."""
    return ", ".join(f"{name} {rate:g}" for name, rate in rates.items())


def objection(trial: Trial, trials: Collection[Trial], untrained: float) -> Objection:
    """What speaks most against a trial among all trials of its method; severity FREE where nothing does.

    What a trial shows on one seed holds for its rates on every seed. A failed trial speaks against another where one of
    its rates is larger and none is larger by more than a step of the search.
    """
    repeats = [trial, *(other for other in trials if other.rates == trial.rates)]
    if failures := [other for other in repeats if _failed(other, untrained)]:
        worst = min(failures, key=lambda other: other.loss is not None)
        return Objection(DIVERGED if worst.loss is None else WORSE, f"{_failure(worst)} on seed {worst.seed}")
    if still := [m for other in repeats for m in other.moved if movement.stood_still(m)]:
        return Objection(STANDING_STILL, f"{still[0].part} moved {movement.described(still[0])} and so stood still")
    step = steps([trial, *trials])
    for other in trials:
        if _failed(other, untrained) and _beside(other.rates, trial.rates, step):
            return Objection(BESIDE_FAILURE, f"at {shown(other.rates)} {_failure(other)}")
    return Objection(FREE, "")


def steps(trials: Collection[Trial]) -> dict[str, float]:
    """Rate → the largest factor between two neighbouring levels at which it was tried; 1 where it was not searched.

    In a search that is the step of its trials over the whole range: those around the best only lie closer.
    """
    found = {}
    for name in next(iter(trials)).rates:
        levels = sorted({trial.rates[name] for trial in trials})
        found[name] = max((high / low for low, high in itertools.pairwise(levels)), default=1.0)
    return found


def candidates(trials: Collection[Trial], untrained: float, count: int) -> list[Trial]:
    """The first `count` rates in the order in which they should win, to be run again on a second seed."""

    def order(trial: Trial) -> tuple[int, float, float]:
        loss = math.inf if trial.loss is None else trial.loss
        return objection(trial, trials, untrained).severity, loss, size(trial.rates)

    found: list[Trial] = []
    for trial in sorted(trials, key=order):
        if all(trial.rates != other.rates for other in found):
            found.append(trial)
    return found[:count]


def noise(losses: NDArray[np.float64]) -> float | None:
    """Standard error of the difference between two rows' means.

    Args:
        losses: (candidates, seeds). With fewer than two of either nothing can be said: None.
    """
    rows, seeds = losses.shape
    if min(rows, seeds) < 2:
        return None
    residual = losses - losses.mean(axis=1, keepdims=True) - losses.mean(axis=0) + losses.mean()
    variance = (residual**2).sum() / ((rows - 1) * (seeds - 1))
    return math.sqrt(2 * variance / seeds)


def choose(trials: Collection[Trial], untrained: float) -> Choice | None:
    """The winner among the trials whose rates were tried on the most seeds; None where each of them diverged."""
    groups = {severity: _repeated(trials, untrained, severity) for severity in range(DIVERGED)}
    severity = next((severity for severity, found in groups.items() if found), None)
    if severity is None:
        return None
    sound = [group for mild in range(max(STANDING_STILL, severity) + 1) for group in groups[mild]]
    spread, standing = noise(_losses(sound)), groups[severity]
    means = _losses(standing).mean(axis=1)
    tied = [i for i in range(len(means)) if means[i] <= means.min() + (spread or 0.0)]
    winner = min(tied, key=lambda i: (size(standing[i][0].rates), means[i]))
    return Choice(standing[winner][0], standing[int(means.argmin())][0], spread)


def _repeated(trials: Collection[Trial], untrained: float, severity: int) -> list[list[Trial]]:
    """The trials of each rates that were tried on the most seeds, one a seed in their order, of one severity."""
    groups: dict[tuple, dict[int, Trial]] = {}
    for trial in sorted(trials, key=lambda trial: trial.seed):
        groups.setdefault(tuple(sorted(trial.rates.items())), {}).setdefault(trial.seed, trial)
    most = max(map(len, groups.values()))
    repeated = [list(group.values()) for group in groups.values() if len(group) == most]
    return [group for group in repeated if objection(group[0], trials, untrained).severity == severity]


def _losses(groups: list[list[Trial]]) -> NDArray[np.float64]:
    """(candidates, seeds)."""
    return np.array([[trial.loss for trial in group] for group in groups], dtype=np.float64)


def _failed(trial: Trial, untrained: float) -> bool:
    return trial.loss is None or trial.loss >= untrained


def _failure(trial: Trial) -> str:
    return "training diverged" if trial.loss is None else "the model was no better than untrained"


def _beside(rates: Mapping[str, float], over: Mapping[str, float], step: Mapping[str, float]) -> bool:
    """Whether `rates` are larger than `over`, and none of them by more than a step."""
    ratios = {name: rates[name] / over[name] for name in over}
    return max(ratios.values()) > 1 and all(ratio <= ROUNDED * step[name] for name, ratio in ratios.items())
