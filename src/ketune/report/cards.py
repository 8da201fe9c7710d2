"""What each method says of itself: circuits, ranks, gates. Any key that a method gives is shown; none is required."""

from dataclasses import dataclass

from ketune import methods
from ketune.records.bills import CIRCUIT
from ketune.records.training import Fact
from ketune.report.cells import number
from ketune.report.results import Results

WORDS = {
    "adapters": "adapted blocks",
    "parameters_without_gradient": "weights without gradient",
    "parameters_after_pruning": "weights after pruning",
    "gradient_variance": "gradient variance at the start",
    "two_qubit_gates": "two-qubit gates",
}
FIRST = (*CIRCUIT, "angles")
LONGEST = 8


@dataclass(frozen=True)
class Card:
    """One method's facts.

    Attributes:
        facts: (name, value) in reading order.
        drawing: the circuit in letters, or "".
        lists: (name, lines) of what is too long for a value.
    """

    method: str
    title: str
    source: str
    circuit: bool
    facts: tuple[tuple[str, str], ...]
    drawing: str
    lists: tuple[tuple[str, tuple[str, ...]], ...]


def cards(results: Results) -> list[Card]:
    """A card for each method that has facts, circuits first."""
    found = [card(results, method) for method in results.methods if results.of(method)[0].training.card]
    return sorted(found, key=lambda one: not one.circuit)  # stable: the order of the params within each group


def card(results: Results, method: str) -> Card:
    """The card of one method: facts that differ between seeds are given for each, in the order of the seeds."""
    by_seed = [run.training.card for run in results.of(method)]
    facts, lists = [], []
    keys = sorted(by_seed[0], key=lambda key: FIRST.index(key) if key in FIRST else len(FIRST))
    for key, value in ((key, by_seed[0][key]) for key in keys):
        if key == "drawing":
            continue
        if isinstance(value, (dict, list)) and len(value) > LONGEST:
            lists.append((name(key), tuple(lines(value))))
            continue
        shown = [text(facts_of.get(key)) for facts_of in by_seed]
        facts.append((name(key), "; ".join(shown if len(set(shown)) > 1 else shown[:1])))
    declared = methods.declared(method)
    return Card(
        method, declared.title, declared.source, "qubits" in by_seed[0], tuple(facts),
        str(by_seed[0].get("drawing", "")), tuple(lists),
    )  # fmt: skip


def name(key: str) -> str:
    """A key as words."""
    return WORDS.get(key, key.replace("_", " "))


def text(value: Fact) -> str:
    """Any JSON value in a line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "–"
    if isinstance(value, int):
        return number(value, 0)
    if isinstance(value, float):
        return f"{value:.4g}".replace("-", "\u2212")
    if isinstance(value, dict) and "description" in value:
        return text(value["description"])
    if isinstance(value, dict):
        return ", ".join(f"{name(key)} {text(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(text(item) for item in value)
    return str(value)


def lines(value: dict[str, Fact] | list[Fact]) -> list[str]:
    """A long mapping or list, an item a line."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return [f"{key}: {text(item)}" for key, item in items]
