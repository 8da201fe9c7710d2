"""Gate records, and what follows from a sequence of them. Knows no array library and no device."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate.

    Attributes:
        name: the gate's name in PennyLane ("RX", "RY", "CRZ", "CNOT", "CZ").
        wires: control first, target last.
        angle: position of its angle in the flattened angles, or None.
        input: position of its angle in the token's input vector (re-uploading), or None.
    """

    name: str
    wires: tuple[int, ...]
    angle: int | None = None
    input: int | None = None


class Gates:
    """What every circuit offers, given its gate records."""

    qubits: int

    @property
    def angle_shape(self) -> tuple[int, ...]:
        """Shape of the angles; gate records point into its flattened form."""
        raise NotImplementedError

    def gates(self) -> tuple[Gate, ...]:
        """The gates in the order in which they act."""
        raise NotImplementedError

    @property
    def two_qubit_gates(self) -> int:
        """Number of gates on two wires."""
        return sum(len(gate.wires) == 2 for gate in self.gates())

    @property
    def gate_counts(self) -> dict[str, int]:
        """Number of gates of each name, in order of first use."""
        counts: dict[str, int] = {}
        for gate in self.gates():
            counts[gate.name] = counts.get(gate.name, 0) + 1
        return counts

    @property
    def depth(self) -> int:
        """Length of the longest chain of gates that share wires."""
        reached = [0] * self.qubits
        for gate in self.gates():
            level = 1 + max(reached[wire] for wire in gate.wires)
            for wire in gate.wires:
                reached[wire] = level
        return max(reached, default=0)
