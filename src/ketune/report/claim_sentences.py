"""The sentences in which a published statement's comparisons are told: differences, intervals, words and sizes."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ketune.report import verdicts
from ketune.report.cells import interval, lowered, number
from ketune.statistics import Verdict, Word

LISTED = 4  # comparisons that a sentence spells out
Named = Callable[[Iterable[str]], str]
"""Methods → their titles, joined for a sentence."""


@dataclass(frozen=True)
class Asked:
    """One comparison that a statement needs.

    Attributes:
        strictly: its word at the level of its verdict divided by the number of the statement's comparisons.
        theirs: the opponent's own value where shares of it make sense.
        margin: within which methods count as comparable; None where it cannot be told.
    """

    other: str
    what: str
    digits: int
    unit: str
    verdict: Verdict
    strictly: Word
    theirs: float | None
    margin: float | None


def told(named: Named, method: str, asked: Sequence[Asked]) -> str:
    """The comparisons one by one."""
    one_measure = len({one.what for one in asked}) == 1
    parts = []
    for one in asked:
        on = "" if one_measure else f" on {lowered(one.what)}"
        alone = ", which the seeds alone do not say" if verdicts.unconfirmed(one.verdict) else ""
        parts.append(f"{named([one.other])}{on} {_size(one)}, {one.verdict.word}{alone}")
    return f"{named([method])} less {'; less '.join(parts)}"


def _size(one: Asked) -> str:
    """The difference with its interval, also in per cent of the opponent's value."""
    found = one.verdict
    ends = (found.difference, found.low, found.high)
    told = _interval(ends, one.digits)
    if not one.theirs:
        return told
    shares = _interval(tuple(100 * end / one.theirs for end in ends), 1)
    return f"{told}, or {shares} %"


def _interval(ends: tuple[float, ...], digits: int) -> str:
    value, low, high = ends
    return f"{number(value, digits, signed=True)} {interval(low, high, digits, signed=True)}"


def counted(named: Named, method: str, asked: Sequence[Asked]) -> str:
    """How often each word was given, and where the rarer ones were."""
    by_word: dict[str, list[str]] = {}
    for one in asked:
        by_word.setdefault(one.verdict.word, []).append(f"{named([one.other])} on {lowered(one.what)}")
    parts = [
        f"{word} in {len(where)}" + (f" ({', '.join(where)})" if len(where) <= LISTED else "")
        for word, where in by_word.items()
    ]
    return f"{named([method])} in {len(asked)} comparisons: {'; '.join(parts)}"


def findable(asked: Sequence[Asked]) -> str:
    """What would have been found, of the comparison that is least sure, for each unit."""
    by_unit: dict[str, list[Asked]] = {}
    for one in asked:
        by_unit.setdefault(one.unit, []).append(one)
    sizes = [
        f"{number(max(one.verdict.detectable for one in ones), ones[0].digits)} {unit}"
        for unit, ones in by_unit.items()
    ]
    return f"A true difference of {', '.join(sizes)} would be found four times in five."


def margins(asked: Sequence[Asked]) -> str:
    """Why differences that are not 0 do not contradict "comparable"."""
    known = {f"±{number(one.margin, one.digits)} {one.unit}" for one in asked if one.margin is not None}
    if not known:
        return "No margin can be told here within which methods would be comparable."
    return f"Not 0, but it may lie within the margin of comparable methods, {', '.join(sorted(known))}."
