"""Whether what a method gains comes from the part that its controls lack: an intersection-union test (Berger 1982)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ketune.ground.errors import InputError
from ketune.statistics.decisions import Verdict
from ketune.statistics.estimates import seeds_to_confirm


@dataclass(frozen=True)
class Attribution:
    """Whether what a method gains comes from the part that its controls lack.

    Attributes:
        contributes: every control is beaten and each of these words is confirmed.
        not_beaten: controls that the method is judged not better than.
        unconfirmed: controls that it is better than, which the seeds do not say on their own.
        missing: controls that were to be run and were not.
        seeds, seeds_needed: of the comparison with the fewest, and what confirmation asks for.
    """

    contributes: bool
    not_beaten: tuple[str, ...]
    unconfirmed: tuple[str, ...]
    missing: tuple[str, ...]
    seeds: int
    seeds_needed: int


def attribution(against_controls: Mapping[str, Verdict], required: Iterable[str], alpha: float = 0.05) -> Attribution:
    """Whether a method contributes what its controls lack: it must be better than all of them, each time confirmed.

    Args:
        against_controls: control → verdict of the method against it, on one metric.
        required: the controls that the study asks for.

    Raises:
        InputError: there is no control at all.
    """
    missing = tuple(name for name in required if name not in against_controls)
    if not against_controls and not missing:
        raise InputError("controls: none is given, at least one is needed; name them in `required`.")
    unjudged = tuple(name for name, found in against_controls.items() if found.word == "too few seeds")
    not_beaten = tuple(n for n, found in against_controls.items() if found.word != "better" and n not in unjudged)
    unconfirmed = tuple(n for n, found in against_controls.items() if found.word == "better" and not found.confirmed)
    levels = [found.level for found in against_controls.values() if found.word == "better"]
    return Attribution(
        contributes=not (unjudged or not_beaten or unconfirmed or missing),
        not_beaten=not_beaten,
        unconfirmed=unconfirmed,
        missing=missing,
        seeds=min((found.seeds for found in against_controls.values()), default=0),
        seeds_needed=seeds_to_confirm(min(levels, default=alpha)),
    )
