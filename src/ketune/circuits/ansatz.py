"""Circuits as data: which gates act on which wires with which angle. Knows no array library and no device.

Every backend, the drawing, the gate counts and PennyLane's tape are derived from the same sequence of gate records.
Wire 0 is the most significant bit of a basis state, as in PennyLane.

Sources: the feature circuit is arXiv:2509.16244 (rotations on every qubit, then CNOTs; the paper leaves the wiring
open, so it is a parameter here); the two-design circuit is arXiv:2503.05431; the re-uploading circuit arXiv:2503.12790.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from ketune.circuits.gates import Gate, Gates
from ketune.ground.errors import InputError, nearest

ROTATIONS = {"RX": ("RX",), "RY": ("RY",), "RXRY": ("RX", "RY")}
ENTANGLERS = ("ring", "chain", "none")
WIDEST = 20


@dataclass(frozen=True)
class Circuit(Gates):
    """QAA's circuit after the amplitude embedding: L times rotations on every wire, then CNOTs (arXiv:2509.16244).

    Attributes:
        qubits: n; it reads hidden vectors of width up to 2**n.
        layers: L, how often rotations and CNOTs are repeated.
        rotation: "RX", "RY", or "RXRY" (RX on every wire, then RY on every wire).
        entangler: "ring" (k to k+1 mod n), "chain" (k to k+1) or "none". On two wires a ring is both directions.
    """

    qubits: int = 10
    layers: int = 1
    rotation: str = "RX"
    entangler: str = "ring"

    def __post_init__(self) -> None:
        for name, value, most in (("qubits", self.qubits, WIDEST), ("layers", self.layers, 10_000)):
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
                raise InputError(f"{name}: {value!r} is not a whole number from 1 to {most}; choose one.")
        for name, value, allowed in (
            ("rotation", self.rotation, tuple(ROTATIONS)),
            ("entangler", self.entangler, ENTANGLERS),
        ):
            if value not in allowed:
                raise InputError(
                    f"{name}: {value!r} is none of {', '.join(allowed)}; choose one.{nearest(str(value), allowed)}"
                )

    @classmethod
    def for_width(cls, width: int, **fields: Any) -> Self:
        """The circuit for hidden vectors of `width` d: n = ceil(log2 d) qubits, at least one."""
        if isinstance(width, bool) or not isinstance(width, int) or width < 1:
            raise InputError(f"width: {width!r} is not a positive whole number; give the model's hidden size.")
        return cls(qubits=max(1, (width - 1).bit_length()), **fields)

    @property
    def angle_shape(self) -> tuple[int, ...]:
        """(L, n); with "RXRY" (L, 2, n), where [:, 0] are the RX angles and [:, 1] the RY angles."""
        kinds = len(ROTATIONS[self.rotation])
        return (self.layers, self.qubits) if kinds == 1 else (self.layers, kinds, self.qubits)

    @property
    def cnots(self) -> tuple[tuple[int, int], ...]:
        """(control, target) of one entangler, in order."""
        pairs = tuple((k, k + 1) for k in range(self.qubits - 1))
        if self.entangler == "none":
            return ()
        return (*pairs, (self.qubits - 1, 0)) if self.entangler == "ring" and self.qubits > 1 else pairs

    @property
    def diagonal(self) -> bool:
        """Whether the circuit collapses to one diagonal in the Hadamard basis: RX and CNOT only."""
        return self.rotation == "RX"

    def layer_gates(self, layer: int) -> Iterator[Gate]:
        """The gates of layer `layer`, counted from 0."""
        kinds = ROTATIONS[self.rotation]
        for which, kind in enumerate(kinds):
            first = (layer * len(kinds) + which) * self.qubits
            for wire in range(self.qubits):
                yield Gate(kind, (wire,), angle=first + wire)
        for pair in self.cnots:
            yield Gate("CNOT", pair)

    @cached_property
    def _gates(self) -> tuple[Gate, ...]:
        return tuple(gate for layer in range(self.layers) for gate in self.layer_gates(layer))

    def gates(self) -> tuple[Gate, ...]:
        """The gates in the order in which they act."""
        return self._gates


@dataclass(frozen=True)
class TwoDesign(Gates):
    """Quantum-PEFT's circuit: RY on every wire; per layer CZ, RY, RY on even, then odd pairs (arXiv:2503.05431).

    The pattern is PennyLane's `SimplifiedTwoDesign`, and so is the order of the angles: the first n, then per layer two
    for each pair. One qubit has no pairs, hence one angle whatever `layers` is.
    """

    qubits: int
    layers: int

    @property
    def angle_shape(self) -> tuple[int]:
        """((2L + 1) n - 2L,)."""
        return ((2 * self.layers + 1) * self.qubits - 2 * self.layers,)

    def half_layers(self) -> Iterator[list[tuple[int, int]]]:
        """The pairs of wires of each half layer: even pairs, odd pairs, even pairs, …"""
        for _ in range(self.layers):
            for start in (0, 1):
                yield [(wire, wire + 1) for wire in range(start, self.qubits - 1, 2)]

    def gates(self) -> tuple[Gate, ...]:
        """The gates in the order in which they act."""
        gates = [Gate("RY", (wire,), angle=wire) for wire in range(self.qubits)]
        angle = self.qubits
        for pairs in self.half_layers():
            for a, b in pairs:
                gates += [Gate("CZ", (a, b)), Gate("RY", (a,), angle=angle), Gate("RY", (b,), angle=angle + 1)]
                angle += 2
        return tuple(gates)


@dataclass(frozen=True)
class Reuploading(Gates):
    """QTHA's quantum network: per layer RY(input), CRZ ring forwards, RY, CRZ ring backwards, RY (arXiv:2503.12790).

    One qubit has no CRZ gates.
    """

    qubits: int
    layers: int

    @property
    def angle_shape(self) -> tuple[int, int, int]:
        """(L, 4, n): CRZ(i, i+1), RY, CRZ(i, i-1), RY. On one qubit (L, 2, 1): RY, RY."""
        return (self.layers, 4 if self.qubits > 1 else 2, self.qubits)

    def gates(self) -> tuple[Gate, ...]:
        """The gates in the order in which they act."""
        n, gates, angle = self.qubits, [], 0
        for _ in range(self.layers):
            gates += [Gate("RY", (wire,), input=wire) for wire in range(n)]
            for step in (1, -1):
                if n > 1:
                    gates += [Gate("CRZ", (wire, (wire + step) % n), angle=angle + wire) for wire in range(n)]
                    angle += n
                gates += [Gate("RY", (wire,), angle=angle + wire) for wire in range(n)]
                angle += n
        return tuple(gates)
