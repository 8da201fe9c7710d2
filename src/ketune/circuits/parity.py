"""The algebra of RX and CNOT over GF(2): basis states as integers, CNOTs as invertible linear maps. Integers alone.

A sequence of CNOTs maps basis states linearly, C|i> = |G i>. All CNOTs can be moved to the front of the circuit,

    U = R_m … R_1 C,    where each RX on wire k has become a rotation about the Pauli-X string G' e_k,

with G' the map of the CNOTs that came after it. C then only permutes the amplitudes of the data, every read-out stays a
single Z, and all rotations commute: the circuit is of IQP type (arXiv:1504.07999).
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

from torch.compiler import assume_constant_result

from ketune.circuits.gates import Gates
from ketune.ground.errors import InputError

P = ParamSpec("P")
R = TypeVar("R")


def fact(function: Callable[P, R]) -> Callable[P, R]:
    """Keep the results, Python data, of a function of hashable arguments; to torch.compile they are constants."""
    kept = lru_cache(maxsize=64)(function)
    return assume_constant_result(wraps(function)(lambda *args: kept(*args)))


def bit(wire: int, qubits: int) -> int:
    """The basis state in which only `wire` is 1."""
    return 1 << (qubits - 1 - wire)


@fact
def beyond(circuit: Gates) -> str:
    """What the closed form does not cover, for a refusal: gates other than RX and CNOT, angles of several gates."""
    others = circuit.beyond(lambda gate: gate.name == "CNOT" or (gate.name == "RX" and gate.angle is not None))
    return others or ("an angle that turns several gates" if circuit.shares_angles else "")


@fact
def strings(circuit: Gates) -> tuple[int, ...]:
    """G' e_k of every angle, in the angles' order, of a circuit of RX and CNOT.

    Raises:
        InputError: another gate.
    """
    if beyond(circuit):
        raise InputError(
            f"mode: the closed form covers RX and CNOT, but the circuit has {beyond(circuit)}; "
            "use 'statevector', or 'register' on a device."
        )
    images = [bit(wire, circuit.qubits) for wire in range(circuit.qubits)]
    found: dict[int, int] = {}
    for gate in reversed(circuit.gates()):
        if gate.angle is None:
            control, target = gate.wires
            images[control] ^= images[target]
        else:
            found[gate.angle] = images[gate.wires[0]]
    return tuple(found[angle] for angle in sorted(found))


@fact
def permutation(circuit: Gates, segment: int | None = None) -> tuple[int, ...]:
    """G i: where a circuit's CNOTs, or those of one segment, send every basis state i; built from single bits."""
    images = [bit(wire, circuit.qubits) for wire in range(circuit.qubits)]
    for gate in reversed(circuit.gates() if segment is None else circuit.segments[segment].fixed):
        if gate.name == "CNOT":
            control, target = gate.wires
            images[control] ^= images[target]
    states = [0]
    for image in reversed(images):
        states += [image ^ other for other in states]
    return tuple(states)
