"""Words that are computed, by one rule: better, worse, comparable, not distinguishable, too few seeds.

A comparison plays one of three roles, and its role sets the level at which its word is given:
- *planned*: declared before the run. Together the planned ones are wrong with probability `alpha` at most (Holm 1979).
- *control*: one of those that a claim of attribution needs. The claim is made only where all of them are beaten, an
  intersection-union test (Berger 1982), so one that the method is ahead of stands at `alpha` without correction, and
  more of them make it harder. That a method is worse than one of its controls is a claim of another kind, which many
  controls make easier: where it is not ahead, a control stands at the level that Holm's procedure gives it among all
  controls of that method.
- *exploratory*: everything else, at `alpha` without correction. It suggests what to plan next and is no claim.

Families are those that were declared: a comparison whose arms did not run has no verdict and counts all the same, so
that no level depends on which of them ran, or on which come later.

The interval and the word of a comparison are at that one level, so an interval excludes 0 exactly where the word is
better or worse. "Detectable" is at the level of a lead, which for a control is `alpha` whatever was found: for that a
study can be planned. "Comparable" is equivalence within the margin, two one-sided tests (Schuirmann 1987) at the level
of the word.

What the words need of seeds. Three for any word at all: with fewer, nothing here is known of how runs differ. Those
words may lean on the variance of other arms. *Confirmed* is said beside better or worse where the sign-flip test over
seeds agrees at the same level, which leans on nothing: 6 seeds can reach 0.05, and 8 can reach it over four planned
comparisons; three never can (so also arXiv:2511.19794). That a part of a method contributes, the strongest sentence,
needs every control beaten and confirmed, hence six seeds.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ketune.ground.contrasts import Contrast
from ketune.statistics.estimates import Estimate
from ketune.statistics.holm import holm
from ketune.statistics.panel import Panel

Word = Literal["better", "worse", "comparable", "not distinguishable", "too few seeds"]
Role = Literal["planned", "control", "exploratory"]
OPPOSITE: dict[Word, Word] = {"better": "worse", "worse": "better"}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One method against another on one metric.

    Attributes:
        word: what may be said.
        confirmed: better or worse, and the seeds say so on their own.
        difference, low, high: method - other with its interval at `level`, in the metric's own units and sign.
        level: the error at which this word is given.
        adjusted_p: two-sided, of no difference; adjusted over the family in which it stands, if it stands in one.
        p_seeds: of the sign-flip test over seeds.
        lead_level: the error at which the method is found to be ahead; that of the word but for controls, where it is
            `alpha`.
        detectable: the true lead that such a study finds four times in five, at `lead_level`.
    """

    word: Word
    role: Role
    confirmed: bool
    difference: float
    low: float
    high: float
    level: float
    lead_level: float
    adjusted_p: float
    p_seeds: float
    detectable: float
    seeds: int
    prompts: int

    def reversed(self) -> "Verdict":
        """The same verdict, told of the other method."""
        word = OPPOSITE.get(self.word, self.word)
        return replace(self, word=word, difference=-self.difference, low=-self.high, high=-self.low)


@dataclass(frozen=True)
class Decisions:
    """Every verdict of a study; no pair has two."""

    verdicts: Mapping[Contrast, Verdict]

    def between(self, metric: str, method: str, other: str) -> Verdict:
        """The verdict on a pair, whichever way it was asked for.

        Raises:
            KeyError: the pair was not asked for.
        """
        asked = self.verdicts.get(Contrast(metric, method, other))
        return asked if asked is not None else self.verdicts[Contrast(metric, method, other).reversed].reversed()


def decide(
    panels: Mapping[str, Panel],
    planned: Sequence[Contrast],
    controls: Collection[Contrast] = (),
    exploratory: Collection[Contrast] = (),
    alpha: float = 0.05,
) -> Decisions:
    """Verdicts on all contrasts whose arms ran; a pair named twice keeps its stricter role, planned before control.

    Args:
        panels: metric → its panel.
        planned: what was declared before the run, whether it ran or not.
        controls: what attributions need, whether it ran or not.
        exploratory: what else the reader may look at.
    """
    roles: dict[Contrast, Role] = dict.fromkeys(exploratory, "exploratory")
    roles |= dict.fromkeys((one for one in controls if one.reversed not in planned), "control")
    roles |= dict.fromkeys(planned, "planned")
    estimates = {
        one: panels[one.metric].estimate(one.method, one.other)
        for one in roles
        if one.metric in panels and {one.method, one.other} <= panels[one.metric].measures.keys()
    }
    levels, adjusted = dict.fromkeys(roles, alpha), {one: found.p_value() for one, found in estimates.items()}
    for family in _families(roles):
        p_values = [adjusted.get(one, 1.0) for one in family]
        for one, level, p in zip(family, *holm(p_values, alpha), strict=True):
            if roles[one] == "planned" or (one in estimates and not _ahead(estimates[one], panels[one.metric])):
                levels[one], adjusted[one] = level, p
    return Decisions({
        one: _verdict(
            estimate,
            panels[one.metric],
            roles[one],
            level=levels[one],
            lead_level=alpha if roles[one] == "control" else levels[one],
            adjusted_p=adjusted[one],
        )
        for one, estimate in estimates.items()
    })  # fmt: skip


def _families(roles: Mapping[Contrast, Role]) -> list[list[Contrast]]:
    """What shares an error: all planned comparisons, and the controls of each method."""
    families: dict[tuple[str, str], list[Contrast]] = {}
    for one, role in roles.items():
        if role != "exploratory":
            families.setdefault((role, one.method if role == "control" else ""), []).append(one)
    return list(families.values())


def _ahead(estimate: Estimate, panel: Panel) -> bool:
    return (estimate.value < 0) == panel.lower_is_better


def _verdict(
    estimate: Estimate, panel: Panel, role: Role, *, level: float, lead_level: float, adjusted_p: float
) -> Verdict:
    found = estimate.interval(1.0 - level)
    told = word(estimate, panel, level)
    return Verdict(
        word=told,
        role=role,
        confirmed=told in OPPOSITE and estimate.p_seeds <= level,
        difference=found.value,
        low=found.low,
        high=found.high,
        level=level,
        lead_level=lead_level,
        adjusted_p=adjusted_p,
        p_seeds=estimate.p_seeds,
        detectable=estimate.detectable(lead_level),
        seeds=estimate.seeds,
        prompts=estimate.prompts,
    )


def word(estimate: Estimate, panel: Panel, level: float) -> Word:
    """What may be said of a difference at a level."""
    if estimate.seeds_missing:
        return "too few seeds"
    if estimate.p_value() <= level:
        return "better" if _ahead(estimate, panel) else "worse"
    if panel.margin is not None and estimate.within(panel.margin, level):
        return "comparable"
    return "not distinguishable"
