"""The circuits, as sequences of gates: which act on which wires with which angle. Knows no array library and no device.

Wire 0 is the most significant bit of a basis state, as in PennyLane. Sources: the feature circuit is arXiv:2509.16244
(rotations on every qubit, then CNOTs; the paper leaves the wiring open, so it is a parameter here); the two-design
circuit is arXiv:2503.05431; the re-uploading circuit is that of code released by the group of arXiv:2503.12790.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Self

from ketune import closed_forms
from ketune.circuits.gates import Gate, Gates
from ketune.ground.checks import Count, Range, checked
from ketune.ground.errors import InputError, nearest

ROTATIONS = {"RX": ("RX",), "RY": ("RY",), "RXRY": ("RX", "RY")}
"""The one-qubit gates of a layer, each on every wire, in order."""

WIRINGS: dict[str, Callable[[int], list[tuple[int, int]]]] = {
    "ring": lambda n: [(k, (k + 1) % n) for k in range(n if n > 1 else 0)],
    "chain": lambda n: [(k, k + 1) for k in range(n - 1)],
    "none": lambda n: [],
}
"""(control, target) of the CNOTs of a layer on n qubits, in order."""

Qubits = Annotated[int, Range(low=1, high=20)]
Layers = Annotated[int, Range(low=1, high=1000)]
LayersOrZero = Annotated[int, Range(low=0, high=1000)]


@dataclass(frozen=True)
class Circuit(Gates):
    """QAA's circuit after the amplitude embedding: L times rotations on every wire, then CNOTs (arXiv:2509.16244).

    Attributes:
        qubits: n; it reads hidden vectors of width up to 2**n.
        layers: L, how often rotations and CNOTs are repeated.
        rotation: a key of ROTATIONS; "RXRY" is RX on every wire, then RY on every wire.
        entangler: a key of WIRINGS: "ring" (k to k+1 mod n), "chain" (k to k+1) or "none".
    """

    qubits: int = 10
    layers: int = 1
    rotation: str = "RX"
    entangler: str = "ring"

    def __post_init__(self) -> None:
        checked(self.qubits, Qubits, "qubits")
        checked(self.layers, Layers, "layers")
        for name, chosen, allowed in (
            ("rotation", self.rotation, list(ROTATIONS)),
            ("entangler", self.entangler, list(WIRINGS)),
        ):
            if chosen not in allowed:
                raise InputError(
                    f"{name}: {chosen!r} is none of {', '.join(allowed)}; choose one.{nearest(chosen, allowed)}"
                )

    @classmethod
    def for_width(cls, width: int, **fields: Any) -> Self:
        """The circuit for hidden vectors of `width` d: n = ceil(log2 d) qubits, at least one."""
        return cls(qubits=closed_forms.qubits(checked(width, Count, "width")), **fields)

    @property
    def angle_shape(self) -> tuple[int, ...]:
        """(L, n); with "RXRY" (L, 2, n), where [:, 0] are the RX angles and [:, 1] the RY angles."""
        kinds = len(ROTATIONS[self.rotation])
        return (self.layers, self.qubits) if kinds == 1 else (self.layers, kinds, self.qubits)

    def gates(self) -> tuple[Gate, ...]:
        """The gates in the order in which they act."""
        gates: list[Gate] = []
        for layer in range(self.layers):
            for which, kind in enumerate(ROTATIONS[self.rotation], start=layer * len(ROTATIONS[self.rotation])):
                gates += [Gate(kind, (wire,), angle=which * self.qubits + wire) for wire in range(self.qubits)]
            gates += [Gate("CNOT", pair) for pair in WIRINGS[self.entangler](self.qubits)]
        return tuple(gates)


@dataclass(frozen=True)
class TwoDesign(Gates):
    """Quantum-PEFT's circuit: RY on every wire; per layer CZ, RY, RY on even, then odd pairs (arXiv:2503.05431).

    The pattern is PennyLane's `SimplifiedTwoDesign`, and so is the order of the angles: the first n, then per layer two
    for each pair. One qubit has no pairs, hence one angle whatever `layers` is.
    """

    qubits: int
    layers: int

    def __post_init__(self) -> None:
        checked(self.qubits, Qubits, "qubits")
        checked(self.layers, LayersOrZero, "layers")

    @property
    def angle_shape(self) -> tuple[int]:
        """((2L + 1) n - 2L,)."""
        return (closed_forms.two_design(self.qubits, self.layers),)

    def gates(self) -> tuple[Gate, ...]:
        """The gates in the order in which they act."""
        gates, angle = [Gate("RY", (wire,), angle=wire) for wire in range(self.qubits)], self.qubits
        for start in (0, 1) * self.layers:
            for a in range(start, self.qubits - 1, 2):
                gates += [Gate("CZ", (a, a + 1)), Gate("RY", (a,), angle=angle), Gate("RY", (a + 1,), angle=angle + 1)]
                angle += 2
        return tuple(gates)


@dataclass(frozen=True)
class Reuploading(Gates):
    """QTHA's quantum network: per layer RY(input), CRZ ring forwards, RY, CRZ ring backwards, RY.

    One qubit has no CRZ gates.
    """

    qubits: int
    layers: int

    def __post_init__(self) -> None:
        checked(self.qubits, Qubits, "qubits")
        checked(self.layers, Layers, "layers")

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
