"""A study in few sentences and one figure, for a place without tables, such as a README.

Every sentence is computed, from the verdicts that the page prints.
"""

from dataclasses import dataclass

from ketune.report import comparisons, effects, opening, style, verdicts
from ketune.report.cells import number
from ketune.report.comparisons import Judgement
from ketune.report.drawing import Drawing
from ketune.report.results import Results
from ketune.statistics import Contrast


@dataclass(frozen=True)
class Answer:
    """What was compared, how each quantum method differs from the others, what may be said; and its figure."""

    sentences: tuple[str, ...]
    figure: Drawing | None


def answer(results: Results) -> Answer:
    """The answer of a study; without a quantum method it says what was compared, and no more."""
    judgement = comparisons.judge(results)
    apart = [differences(results, judgement, method) for method in results.in_family("quantum")]
    said = [statement.text for statement in opening.statements(results, judgement)]
    return Answer(
        sentences=tuple(filter(None, (opening.compared(results), *apart, *said))),
        figure=effects.against_others(results, style.looks(results), judgement),
    )


def differences(results: Results, judgement: Judgement, method: str) -> str:
    """A method's held-out loss less that of the reference and of each control, with the intervals of the verdicts."""
    listed = ", ".join(_difference(results, judgement, method, other) for other in effects.others(results, method))
    told = f"in nats per token, with {100 * results.settings.report.confidence:g} % intervals unless marked"
    return f"{results.title(method)}'s held-out loss differs by {listed}, {told}." if listed else ""


def _difference(results: Results, judgement: Judgement, method: str, other: str) -> str:
    found = judgement.verdict(method, other)
    ends = verdicts.with_level(found, 3, results.settings.report.alpha)
    size = f"{number(found.difference, 3, signed=True)} {ends}"
    word = verdicts.word(results, judgement, Contrast("loss", method, other)).text
    return f"{size} against {results.title(other)} ({word})"
