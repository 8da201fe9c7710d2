"""The first lines: what was compared on what, and what a simulated circuit can and cannot show."""

from collections.abc import Sequence
from dataclasses import dataclass

from ketune import methods
from ketune.report import comparisons, paper, rates, verdicts
from ketune.report.cells import counted
from ketune.report.comparisons import Judgement, unlearnt
from ketune.report.results import Results
from ketune.statistics import SEEDS_NEEDED, Attribution, Verdict


@dataclass(frozen=True)
class Opening:
    """Title and first sentences of the page."""

    title: str
    sentences: tuple[str, ...]


def opening(results: Results, left_out: Sequence[str] = ()) -> Opening:
    """What was compared, on which backbone, data, steps and seeds; and that the circuits are simulated exactly."""
    quantum = results.in_family("quantum")
    title = "Do quantum circuits help to fine-tune a language model?" if quantum else "Fine-tuning with few parameters"
    return Opening(title, (compared(results), *unfinished(results, left_out), *circuits(results), *seeds(results)))


def compared(results: Results) -> str:
    """Methods, backbone, data, steps, prompts and seeds in one sentence."""
    settings = results.settings
    plain, arms = results.in_family("reference", "classical", "quantum"), results.in_family("control")
    listed = results.named(plain) + (f" and {counted(len(arms), 'control')}" if arms else "")
    sizes = results.summary.sizes
    first = results.of(results.methods[0])[0]
    return (
        f"{listed}: compared on {settings.language_model.name} ({paper.backbone_parameters(results):,} parameters) and "
        f"{paper.data_name(settings)} ({sizes['train']:,} training records): {settings.train.steps:,} optimiser steps, "
        f"{counted(len(settings.seeds), 'seed')} ({', '.join(map(str, settings.seeds))}), "
        f"{len(first.endings)} answers and {len(results.references)} held-out references a run."
    )


def unfinished(results: Results, left_out: Sequence[str]) -> tuple[str, ...]:
    """What a study under way does not show yet."""
    if not left_out:
        return ()
    return (
        f"The study is under way; runs are still missing of {results.named(left_out)}, which this page leaves out.",
    )


def circuits(results: Results) -> tuple[str, ...]:
    """What holds for every circuit here, whatever the numbers below say."""
    qubits = {results.title(m): results.of(m)[0].training.card.get("qubits") for m in results.in_family("quantum")}
    known = {title: n for title, n in qubits.items() if isinstance(n, int)}
    if not known:
        return ()
    most = max(known.values())
    held = ", ".join(f"{title} {n}" for title, n in known.items())
    sentences = [
        f"The circuits (qubits: {held}) are simulated classically and exactly: {most} qubits are {2**most:,} "
        "amplitudes. At this size a quantum computer could not be faster; the question is whether the circuit's "
        "function is a good adapter."
    ]
    diagonal = [m for m in results.in_family("quantum") if comparisons.setting(results, m, "rotation") == "RX"]
    if diagonal:
        sentences.append(
            f"The circuit of {results.named(diagonal)}, layers of RX and CNOT, is one diagonal of phases between two "
            "Hadamard transforms and a permutation, the form of an IQP circuit, however many layers it has."
        )
    return tuple(sentences)


def seeds(results: Results) -> tuple[str, ...]:
    """What fewer than three seeds leave open."""
    count = len(results.settings.seeds)
    if count >= SEEDS_NEEDED:
        return ()
    return (
        f"With {counted(count, 'seed')}, fewer than three, the spread between training runs is unknown: "
        "intervals below are over references alone, a difference may be one of seeds, and no verdict is given.",
    )


@dataclass(frozen=True)
class Statement:
    """A computed sentence of judgement.

    Attributes:
        mark: better, worse or open.
        contributes: whether it says that a circuit contributes.
    """

    text: str
    mark: str
    contributes: bool = False


def statements(results: Results, judgement: Judgement) -> list[Statement]:
    """For each quantum method: how it stands to the reference, and whether its circuit contributes."""
    return [statement for method in judgement.attributions for statement in on(results, judgement, method)]


def on(results: Results, judgement: Judgement, method: str) -> list[Statement]:
    """How a method stands to the reference and, of a quantum method, whether its circuit contributes.

    Of a method, or against one, of which a part that was to learn stood still nothing is said but that.
    """
    if method in judgement.void:
        return [Statement(judgement.void[method], "open")]
    found, reference = [], results.settings.report.reference
    if reference in results.methods and reference != method and reference not in judgement.void:
        found.append(standing(results, method, reference, judgement.verdict(method, reference)))
    still = [control for control in methods.controls(method) if control in judgement.void]
    if method in judgement.attributions and still:
        told = f"nothing is said about its circuit, as parts of {results.named(still)} stood still."
        found.append(Statement(f"{results.title(method)}: {told}", "open"))
    elif method in judgement.attributions:
        weak = unlearnt(results, judgement, methods.controls(method))
        found.append(contribution(results, method, judgement.attributions[method], weak))
    return found


def standing(results: Results, method: str, reference: str, verdict: Verdict) -> Statement:
    """How a method stands to the reference on held-out loss, in the word of its verdict; whose rates are in doubt."""
    title, other = results.title(method), results.title(reference)
    if verdict.word == "too few seeds":
        few = f"{verdict.seeds} of {SEEDS_NEEDED} seeds needed"
        return Statement(f"{title} against {other} on held-out loss: {few}.", "open")
    words = {"better": "better than", "worse": "worse than", "comparable": "comparable with"}
    size = verdicts.size(verdict, 3, results.settings.report.alpha)
    word = words.get(verdict.word, "not distinguishable from")
    text = f"{title} is {word} {other} on held-out loss, {size} nats per token"
    doubted = [one for one in rates.in_doubt(results) if one in (method, reference)]
    told = [verdicts.confirmation(verdict), "exploratory" if verdict.role == "exploratory" else "",
            f"learning rates in doubt: {results.named(doubted)}" if doubted else ""]  # fmt: skip
    note = ", ".join(filter(None, told))
    mark = verdict.word if verdict.word in verdicts.SIGNIFICANT else "open"
    return Statement(f"{text} ({note})." if note else f"{text}.", mark)


def contribution(results: Results, method: str, attribution: Attribution | None, weak: Sequence[str] = ()) -> Statement:
    """Whether the circuit contributes, by the rule that it must be better than every control, each time confirmed.

    Args:
        weak: controls that are not shown to have learnt: to be better than they are says little.
    """
    title = results.title(method)
    if attribution is None:
        return Statement(f"{title}: no control takes its circuit away, so nothing is said about the circuit.", "open")
    if attribution.contributes and weak:
        return Statement(
            f"{title}: nothing is said about its circuit. It is better than every control, and the seeds confirm it, "
            f"but {results.named(weak)} may not have learnt: not better than the untuned model.",
            "open",
        )
    if attribution.contributes:
        text = f"{title}: the circuit contributes. It is better than every control, and the seeds confirm it."
        doubt = rates.in_doubt(results)
        if doubted := [m for m in methods.controls(method) if m in doubt or rates.untaken(results, method, m)]:
            text += f" But other learning rates may help {results.named(doubted)}."
        return Statement(text, "better", contributes=True)
    reasons = []
    if attribution.seeds and attribution.seeds < attribution.seeds_needed:
        reasons.append(f"{attribution.seeds} of the {attribution.seeds_needed} seeds that could confirm it")
    if attribution.not_beaten:
        reasons.append(f"it does not beat {results.named(attribution.not_beaten)}")
    if attribution.unconfirmed and attribution.seeds >= attribution.seeds_needed:
        reasons.append(f"the seeds do not confirm that it beats {results.named(attribution.unconfirmed)}")
    if attribution.missing:
        reasons.append(f"{results.named(attribution.missing)} did not run")
    text = f"{title}: that the circuit contributes is not shown: {'; '.join(reasons)}."
    if method in rates.in_doubt(results) and (attribution.not_beaten or attribution.unconfirmed):
        text += " Its learning rates are in doubt."
    return Statement(text, "open")
