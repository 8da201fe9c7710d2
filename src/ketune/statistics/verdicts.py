"""Words that are computed: better, worse, comparable, not distinguishable; and whether a circuit contributes.

A difference counts only when both of two questions are answered: would other prompts give it (approximate
randomisation), and would other seeds and prompts (the interval's draws)? So p is the larger of the two p-values, which
keeps the error rate of whichever null hypothesis holds, and Holm's correction (Holm 1979) is applied to it over the
family of comparisons. Equivalence is two one-sided tests (Schuirmann 1987; Lakens 2017) and is not corrected: a
family of claims of likeness needs every one of them. This module knows no method's name.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np

from ketune.ground.errors import InputError
from ketune.statistics.intervals import POWER, Draws, Resampling, draw
from ketune.statistics.measures import Measure
from ketune.statistics.paired import approximate_randomisation

Key = TypeVar("Key", bound=Hashable)
Word = Literal["better", "worse", "comparable", "not distinguishable"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One method against another on one metric.

    Attributes:
        word: better or worse: the interval excludes 0 and adjusted_p is below 1 - confidence; comparable: neither, and
            the difference lies within the margin; otherwise not distinguishable.
        difference, low, high: method - other with its interval, in the metric's own units and sign.
        p: the larger of p_prompts and of the interval's p-value.
        adjusted_p: p after Holm's correction over the family.
        p_prompts: approximate randomisation: these runs, other prompts.
        within_margin: equivalence is shown; a method can be better by less than the margin. None without a margin.
        detectable: the smallest true difference that would have been found four times in five, roughly.
        seeds_missing: fewer than three seeds, so that everything speaks of these very runs.
    """

    word: Word
    difference: float
    low: float
    high: float
    p: float
    adjusted_p: float
    p_prompts: float
    margin: float | None
    within_margin: bool | None
    detectable: float
    lower_is_better: bool
    confidence: float
    seeds: int
    prompts: int
    seeds_missing: bool

    @property
    def direction(self) -> int:
        """1 or -1 where the interval lies wholly on the better or worse side of 0, else 0."""
        side = int(self.low > 0) - int(self.high < 0)
        return -side if self.lower_is_better else side


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided tests: the interval of 1 - 2·alpha, their p-value, and whether it lies within ±margin."""

    low: float
    high: float
    margin: float
    p: float
    equivalent: bool


@dataclass(frozen=True)
class Attribution:
    """Whether what a method gains comes from the part that its controls lack.

    Attributes:
        contributes: it beats every control; none is missing; there are seeds enough.
        not_beaten: controls whose interval does not exclude 0 on the better side.
        missing: controls that were to be run and were not.
        seeds_missing: a comparison had fewer than three seeds.
    """

    contributes: bool
    not_beaten: tuple[str, ...]
    missing: tuple[str, ...]
    seeds_missing: bool


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


def equivalence(method: Measure, other: Measure, margin: float, resampling: Resampling) -> Equivalence:
    """Whether method and other differ by less than `margin`, in the metric's units.

    Raises:
        InputError: the margin is not a number above 0, or the two do not fit.
    """
    return _equivalence(draw(method, other, resampling), margin, resampling)


def _equivalence(draws: Draws, margin: float, resampling: Resampling) -> Equivalence:
    if not 0 < margin < np.inf:
        raise InputError(f"report.margin: {margin} is given, a number above 0 is needed, in the metric's units.")
    found = draws.interval(1.0 - 2.0 * resampling.alpha)
    above, below = draws.at_least(margin), draws.at_most(-margin)
    return Equivalence(found.low, found.high, margin, max(above, below), -margin < found.low and found.high < margin)


def verdict(method: Measure, other: Measure, resampling: Resampling, margin: float | None = None) -> Verdict:
    """A comparison on its own: a family of one, adjusted_p = p.

    Raises:
        InputError: the two differ in seeds, prompts or kind of metric, or the margin is not above 0.
    """
    draws = draw(method, other, resampling)
    found = draws.interval(resampling.confidence)
    p_prompts = approximate_randomisation(method, other, resampling)
    p = max(p_prompts, draws.p_value())
    unjudged = Verdict(
        word="not distinguishable",
        difference=found.value,
        low=found.low,
        high=found.high,
        p=p,
        adjusted_p=p,
        p_prompts=p_prompts,
        margin=margin,
        within_margin=None if margin is None else _equivalence(draws, margin, resampling).equivalent,
        detectable=draws.detectable(resampling.confidence, POWER),
        lower_is_better=method.lower_is_better,
        confidence=resampling.confidence,
        seeds=found.seeds,
        prompts=found.prompts,
        seeds_missing=found.seeds_missing,
    )
    return _judged(unjudged, p)


def verdicts(
    family: Mapping[Key, tuple[Measure, Measure]], resampling: Resampling, margin: float | None = None
) -> dict[Key, Verdict]:
    """Verdicts over a family of comparisons (method, other), their p-values adjusted together.

    Raises:
        InputError: as `verdict`.
    """
    found = {key: verdict(method, other, resampling, margin) for key, (method, other) in family.items()}
    adjusted = holm([one.p for one in found.values()])
    return {key: _judged(one, p) for (key, one), p in zip(found.items(), adjusted, strict=True)}


def _judged(found: Verdict, adjusted_p: float) -> Verdict:
    word: Word = "not distinguishable"
    if found.direction and adjusted_p < 1.0 - found.confidence:
        word = "better" if found.direction > 0 else "worse"
    elif found.within_margin:
        word = "comparable"
    return replace(found, word=word, adjusted_p=adjusted_p)


def attribution(against_controls: Mapping[str, Verdict], required: Iterable[str]) -> Attribution:
    """Whether a method contributes what its controls lack: it must beat all of them, each with an interval free of 0.

    The intervals are not corrected for their number: every one must exclude 0, so more controls make it harder.

    Args:
        against_controls: control → verdict of the method against it, on one metric.
        required: the controls that the study asks for.

    Raises:
        InputError: there is no control at all.
    """
    missing = tuple(name for name in required if name not in against_controls)
    if not against_controls and not missing:
        raise InputError("controls: none is given, at least one is needed; name them in `required`.")
    not_beaten = tuple(name for name, found in against_controls.items() if found.direction <= 0)
    seeds_missing = any(found.seeds_missing for found in against_controls.values())
    return Attribution(not (not_beaten or missing or seeds_missing), not_beaten, missing, seeds_missing)
