"""A study in few sentences, one figure and a table for each quantum method, for a place such as a README.

Every sentence and number is computed, from the verdicts that the page prints.
"""

from dataclasses import dataclass

from ketune import methods
from ketune.report import comparisons, effects, opening, style, verdicts
from ketune.report.cells import number
from ketune.report.comparisons import Judgement
from ketune.report.drawing import Drawing
from ketune.report.results import Results
from ketune.statistics import Contrast


@dataclass(frozen=True)
class Answer:
    """What was compared, how each quantum method differs from the others, what may be said; and its figure.

    Attributes:
        judgement: the verdicts that it tells.
        sentences: in this order.
        tables: in Markdown, one for each quantum method, of all arms.
        figure: each quantum method's differences from the reference and its controls; None without one.
    """

    judgement: Judgement
    sentences: tuple[str, ...]
    tables: tuple[str, ...]
    figure: Drawing | None


def answer(results: Results) -> Answer:
    """The answer of a study; without a quantum method it says what was compared, and no more."""
    judgement = comparisons.judge(results)
    apart = [differences(results, judgement, method) for method in results.in_family("quantum")]
    said = [statement.text for statement in opening.statements(results, judgement)]
    return Answer(
        judgement=judgement,
        sentences=tuple(filter(None, (opening.compared(results), *apart, *said))),
        tables=tuple(arms(results, judgement, method) for method in results.in_family("quantum")),
        figure=effects.against_others(results, style.looks(results), judgement),
    )


def differences(results: Results, judgement: Judgement, method: str) -> str:
    """A method's held-out loss less that of the reference and of each control, with the intervals of the verdicts."""
    listed = ", ".join(_difference(results, judgement, method, other) for other in effects.others(results, method))
    told = f"in nats per token, with {100 * results.settings.report.confidence:g} % intervals unless marked"
    return f"{results.title(method)}'s held-out loss differs by {listed}, {told}." if listed else ""


def _difference(results: Results, judgement: Judgement, method: str, other: str) -> str:
    word = verdicts.word(results, judgement, Contrast("loss", method, other)).text
    return f"{_size(results, judgement, method, other)} against {results.title(other)} ({word})"


def _size(results: Results, judgement: Judgement, method: str, other: str) -> str:
    return verdicts.size(judgement.verdict(method, other), 3, results.settings.report.alpha)


def arms(results: Results, judgement: Judgement, method: str) -> str:
    """Every arm in the order of held-out loss: what it tells, its weights, and the method's difference from it."""
    losses, title = results.frame["loss"].groupby("method").mean(), results.title(method)
    lines = [
        f"| arm | what it is or tells | trained weights | held-out loss | {title} less it | verdict on {title} |",
        "|---|---|---|---|---|---|",
    ]
    for arm in sorted(results.methods, key=lambda name: float(losses[name])):
        declared = methods.declared(arm)
        told = declared.isolates if declared.family == "control" or arm == "base" else declared.source
        about = f"{told} | {results.trainable(arm):,} | {number(losses[arm], 3)}"
        if arm == method:
            lines.append(f"| **{title}** | {about} | | |")
            continue
        word = verdicts.word(results, judgement, Contrast("loss", method, arm))
        notes = [*filter(None, [word.note]), judgement.verdict(method, arm).role]
        size = _size(results, judgement, method, arm)
        lines.append(f"| {results.title(arm)} | {about} | {size} | {word.text} ({', '.join(notes)}) |")
    return "\n".join(lines)
