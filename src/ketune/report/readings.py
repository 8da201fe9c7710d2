"""Ways to read a published statement on the runs at hand: each gives one of four words and a sentence with numbers.

A comparison's word is the one that every other table gives it. A statement of several comparisons holds where all of
them do, which needs no correction for their number. It is contradicted where one of them says the opposite at its level
divided by their number (Bonferroni), so that many comparisons contradict no more easily than one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ketune import metrics, statistics
from ketune.report import cuts, verdicts
from ketune.report.cells import interval, number
from ketune.report.claim_sentences import LISTED, Asked, counted, findable, margins, told
from ketune.report.comparisons import Judgement
from ketune.report.curves import FEWEST, MEASURES, UNITS, measure
from ketune.report.results import Results
from ketune.statistics import Decisions, Panel, Spread

Word = Literal["holds", "contradicted", "undecided", "not testable here"]
Wanted = Literal["better", "comparable", "not worse"]
HOLDS = {"better": ("better",), "comparable": ("comparable",), "not worse": ("better", "comparable")}
FAILS = {"better": ("worse",), "comparable": ("better", "worse"), "not worse": ("worse",)}


@dataclass(frozen=True)
class Found:
    """What is read: the runs, the verdicts on their metrics, and those on their training curves."""

    results: Results
    judgement: Judgement
    curve_panels: Mapping[str, Panel]
    curves: Decisions


@dataclass(frozen=True)
class Finding:
    """What the runs say of a statement."""

    word: Word
    sentence: str


Reading = Callable[[Found], Finding]


def untestable(reason: str) -> Finding:
    """Nothing here can tell."""
    return Finding("not testable here", f"{reason[0].upper()}{reason[1:]}.")


def never(reason: str) -> Reading:
    """A statement that no run of this pipeline tests."""
    return lambda found: untestable(reason)


def measured(wanted: Wanted, method: str, others: Sequence[str], keys: Sequence[str]) -> Reading:
    """A method against others on metrics."""

    def read(found: Found) -> Finding:
        present, reason = _present(found, method, others)
        if reason:
            return untestable(reason)
        specs = [m for key in keys if not cuts.touch(found.results, m := metrics.named(key), method, *present)]
        if not specs:
            return untestable("answers were cut, and metrics of cut answers are not compared")
        count = len(specs) * len(present)
        asked = [
            Asked(other, spec.title, spec.digits, spec.unit,
                  verdict := found.judgement.verdict(method, other, spec.key),
                  _strictly(found.judgement.panels[spec.key], method, other, verdict.level / count, wanted),
                  found.results.mean(other, spec.key) if spec.lower_is_better else None,
                  found.judgement.panels[spec.key].margin)
            for spec in specs for other in present
        ]  # fmt: skip
        return _together(found, wanted, method, others, asked)

    return read


def trained(wanted: Wanted, method: str, others: Sequence[str], what: str) -> Reading:
    """A method against others on a measure of their training curves."""

    def read(found: Found) -> Finding:
        present, reason = _present(found, method, others)
        if reason or not found.curves.verdicts:
            return untestable(reason or f"fewer than {FEWEST} steps")
        asked = [
            Asked(other, MEASURES[what], 4, UNITS[what], verdict := found.curves.between(what, method, other),
                  _strictly(found.curve_panels[what], method, other, verdict.level / len(present), wanted),
                  float(measure(found.results, other, what).by_seed().mean()), found.curve_panels[what].margin)
            for other in present
        ]  # fmt: skip
        return _together(found, wanted, method, others, asked)

    return read


def steadier(method: str, others: Sequence[str]) -> Reading:
    """The held-out loss of a method's runs differs less between seeds than that of others."""

    def read(found: Found) -> Finding:
        present, reason = _present(found, method, others)
        if reason:
            return untestable(reason)
        by_seed, alpha = found.judgement.panels["loss"].by_seed, found.results.settings.report.alpha
        ratios = {other: statistics.spread(by_seed[method], by_seed[other], alpha) for other in present}
        known = {other: ratio for other, ratio in ratios.items() if ratio is not None}
        if not known:
            seeds = len(found.results.settings.seeds)
            few = f"{seeds} of the three seeds that a deviation needs"
            return untestable(few if seeds < statistics.SEEDS_NEEDED else "no deviation over seeds can be compared")
        words = [_spread_word(ratio, alpha) for ratio in known.values()]
        strictly = [_spread_word(ratio, alpha / len(known)) for ratio in known.values()]
        parts = "; ".join(
            f"{number(r.ratio, 2)} {interval(r.low, r.high, 2)} of {found.results.named([other])}'s"
            for other, r in known.items()
        )
        sentence = f"{found.results.title(method)}'s deviation over seeds is {parts}{_absent(found, others)}."
        return Finding(_word("better", words, strictly, whole=len(known) == len(others)), sentence)

    return read


def smaller(method: str, others: Sequence[str]) -> Reading:
    """A method trains fewer parameters than others: counted, not estimated."""

    def read(found: Found) -> Finding:
        ran = [other for other in others if other in found.results.methods]
        whole = len(ran) == len(others)
        if method not in found.results.methods or not ran:
            return untestable(_not_run(found, [method, *others]))
        ours = found.results.trainable(method)
        theirs = {other: found.results.trainable(other) for other in ran}
        parts = "; ".join(
            f"{number(100 * (ours / count - 1), 0, signed=True)} % against {found.results.named([other])}'s {count:,}"
            for other, count in theirs.items()
        )
        missing = "" if whole else f" ({_not_run(found, others)})"
        sentence = (
            f"{found.results.title(method)} trains {ours:,} parameters, {parts}{missing}, with the ranks set here."
        )
        if ours >= min(theirs.values()):
            return Finding("contradicted", sentence)
        return Finding("holds" if whole else "not testable here", sentence)

    return read


def _together(found: Found, wanted: Wanted, method: str, others: Sequence[str], asked: Sequence[Asked]) -> Finding:
    seeds = len(found.results.settings.seeds)
    if any(verdict.word == "too few seeds" for verdict in (one.verdict for one in asked)):
        return untestable(f"{seeds} of the three seeds that any word needs")
    whole = {one.other for one in asked} == set(others)
    word = _word(wanted, [one.verdict.word for one in asked], [one.strictly for one in asked], whole=whole)
    tell = told if len(asked) <= LISTED else counted
    sentence = f"{tell(found.results.named, method, asked)}{_absent(found, others)}."
    if word == "undecided":
        small = wanted == "comparable" and all(one.verdict.word in verdicts.SIGNIFICANT for one in asked)
        sentence += f" {margins(asked) if small else findable(asked)}"
    return Finding(word, sentence)


def _word(wanted: Wanted, words: Sequence[str], strictly: Sequence[str], *, whole: bool) -> Word:
    """`whole`: all comparisons that the statement names were made; a part of them can only contradict it."""
    if all(word in HOLDS[wanted] for word in words):
        return "holds" if whole else "not testable here"
    return "contradicted" if any(word in FAILS[wanted] for word in strictly) else "undecided"


def _strictly(panel: Panel, method: str, other: str, level: float, wanted: Wanted) -> statistics.Word:
    found = panel.estimate(method, other)
    if wanted == "comparable" and not (panel.margin is not None and found.beyond(panel.margin, level)):
        return "not distinguishable"
    return statistics.word(found, panel, level)


def _spread_word(found: Spread, level: float) -> statistics.Word:
    if found.p > level:
        return "not distinguishable"
    return "better" if found.ratio < 1 else "worse"


def _present(found: Found, method: str, others: Sequence[str]) -> tuple[list[str], str]:
    """The opponents that can be compared, and why none can."""
    void, ran = found.judgement.void, found.results.methods
    usable = [other for other in others if other in ran and other not in void]
    if method not in ran or not any(other in ran for other in others):
        return usable, _not_run(found, [method, *others])
    if method in void or not usable:
        still = [name for name in (method, *others) if name in void]
        return usable, f"a part of {found.results.named(still)} stood still"
    return usable, ""


def _not_run(found: Found, names: Sequence[str]) -> str:
    return f"{found.results.named([name for name in names if name not in found.results.methods])} did not run"


def _absent(found: Found, others: Sequence[str]) -> str:
    """Which opponents were left out, and why."""
    missing = [other for other in others if other not in found.results.methods]
    still = [other for other in others if other in found.judgement.void]
    reasons = [f"{found.results.named(missing)} did not run"] if missing else []
    reasons += [f"a part of {found.results.named(still)} stood still"] if still else []
    return f" ({'; '.join(reasons)})" if reasons else ""
