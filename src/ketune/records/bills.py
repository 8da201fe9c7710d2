"""What the circuit of a method costs on machines: `make bill` writes it, git keeps it, the report shows it."""

from collections.abc import Mapping
from dataclasses import dataclass

from ketune.records.training import Fact

CIRCUIT = ("qubits", "layers", "rotation", "entangler", "gates", "two_qubit_gates", "depth", "drawing")


@dataclass(frozen=True, kw_only=True)
class Bills:
    """The bills of a method, and for which circuit they hold.

    Attributes:
        circuit: what the method's card says of its circuit.
        trainable: weights that the method trains, which tell one model from another.
        bills: machine → the other fields of `ketune.circuits.Bill`.
        packages: name → version of what transpiled.
        date: ISO 8601.
    """

    circuit: dict[str, Fact]
    trainable: int
    bills: dict[str, dict[str, float]]
    packages: dict[str, str]
    date: str


def circuit(card: Mapping[str, Fact]) -> dict[str, Fact]:
    """What a card says of a circuit, and nothing that training decided."""
    return {key: card[key] for key in CIRCUIT if key in card}
