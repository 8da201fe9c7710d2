"""Gates as data, and what follows from a sequence of them. Knows no array library and no device.

A gate is a 2 × 2 matrix P with P² = 1 on its last wire: whole, or turned by an angle, exp(-i θ P / 2); with two wires
it acts where the first is 1. KINDS is the one place where a gate is defined: the simulator, PennyLane's operations, the
noise and the gradients read it there.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MATRICES = {
    "X": ((0, 1), (1, 0)),
    "Y": ((0, -1j), (1j, 0)),
    "Z": ((1, 0), (0, -1)),
    "H": ((0.5**0.5, 0.5**0.5), (0.5**0.5, -(0.5**0.5))),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """What a gate does.

    Attributes:
        matrix: the key in MATRICES of P.
        turned: exp(-i θ P / 2) instead of P.
        controlled: only where the first of two wires is 1.
    """

    matrix: str
    turned: bool = False
    controlled: bool = False


KINDS = {  # by PennyLane's names
    "RX": Kind("X", turned=True),
    "RY": Kind("Y", turned=True),
    "CRZ": Kind("Z", turned=True, controlled=True),
    "CNOT": Kind("X", controlled=True),
    "CZ": Kind("Z", controlled=True),
    "PauliX": Kind("X"),
    "PauliY": Kind("Y"),
    "PauliZ": Kind("Z"),
    "Hadamard": Kind("H"),
}


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate.

    Attributes:
        name: a key of KINDS.
        wires: control first, target last.
        angle: position of its angle in the flattened angles, or None.
        input: position of its angle in the token's input vector (re-uploading), or None.
    """

    name: str
    wires: tuple[int, ...]
    angle: int | None = None
    input: int | None = None

    @property
    def kind(self) -> Kind:
        """What it does."""
        return KINDS[self.name]


@dataclass(frozen=True)
class Segment:
    """One-qubit rotations on different wires, then gates without an angle."""

    rotations: tuple[Gate, ...]
    fixed: tuple[Gate, ...]


class Gates:
    """What every circuit offers, given its gates."""

    qubits: int

    @property
    def angle_shape(self) -> tuple[int, ...]:
        """Shape of the angles; gates point into its flattened form."""
        raise NotImplementedError

    def gates(self) -> tuple[Gate, ...]:
        """The gates in the order in which they act."""
        raise NotImplementedError

    @property
    def reads_amplitudes(self) -> bool:
        """Whether a token enters as the amplitudes of the first state, and not as angles of gates."""
        return not any(gate.input is not None for gate in self.gates())

    @property
    def shares_angles(self) -> bool:
        """Whether an angle turns several gates."""
        angles = [gate.angle for gate in self.gates() if gate.angle is not None]
        return len(set(angles)) < len(angles)

    @property
    def two_qubit_gates(self) -> int:
        """Number of gates on two wires."""
        return sum(len(gate.wires) == 2 for gate in self.gates())

    @property
    def gate_counts(self) -> dict[str, int]:
        """Number of gates of each name, in order of first use."""
        return dict(Counter(gate.name for gate in self.gates()))

    @property
    def depth(self) -> int:
        """Length of the longest chain of gates that share wires."""
        reached = [0] * self.qubits
        for gate in self.gates():
            level = 1 + max(reached[wire] for wire in gate.wires)
            for wire in gate.wires:
                reached[wire] = level
        return max(reached, default=0)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The same circuit as a sequence of segments, every gate as early as its wires allow."""
        slots: list[list[Gate]] = []  # even: rotations, odd: fixed gates
        free = [0] * self.qubits  # the first slot that each wire's next gate may enter
        for gate in self.gates():
            slot = max(free[wire] for wire in gate.wires)
            slot += slot % 2 != (not gate.kind.turned)
            slots += [[] for _ in range(len(slots), slot + 1)]
            slots[slot].append(gate)
            for wire in gate.wires:
                free[wire] = slot + gate.kind.turned
        slots += [[]] * (len(slots) % 2)
        return tuple(Segment(tuple(r), tuple(f)) for r, f in zip(slots[::2], slots[1::2], strict=True))

    def beyond(self, covered: Callable[[Gate], bool]) -> str:
        """The names of its gates that are not covered, for a refusal; empty where all are."""
        return ", ".join(dict.fromkeys(gate.name for gate in self.gates() if not covered(gate)))


def undone(gates: Sequence[Gate]) -> list[Gate]:
    """The gates in reverse order: with the angles negated they undo `gates`, because every P is its own inverse."""
    return list(reversed(gates))
