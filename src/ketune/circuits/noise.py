"""Gate and read-out errors as random Pauli gates between a circuit's own.

After every gate, on each of its wires, PennyLane's `DepolarizingChannel(p)`: X, Y or Z with p/3 each; at the read-out
every bit flips with probability q. The state preparation is taken as free of errors, which flatters hardware.

A Pauli error passes through rotations, CNOT and CZ as a Pauli error that turns the sign of the angles that it
anticommutes with. So one random pattern of errors is the same circuit with some angles and some read-outs negated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_type_hints

import torch
from torch import Tensor

from ketune.circuits.gates import Gate, Gates
from ketune.ground.checks import Count, Probability, checked
from ketune.ground.errors import InputError

PARTS = {"X": (True, False), "Y": (True, True), "Z": (False, True)}
"""Whether a Pauli matrix flips the bit, and whether it turns the sign of 1."""


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Gate and read-out errors.

    Attributes:
        depolarizing: p, probability of a Pauli error on each wire of each gate.
        readout: q, probability that a measured bit is read wrongly.
        patterns: number of random fault patterns averaged over; with shots, each gets its share of them.
    """

    depolarizing: Probability = 0.0
    readout: Probability = 0.0
    patterns: Count = 64

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(Noise, include_extras=True).items():
            checked(getattr(self, name), hint, f"noise.{name}")


def faulty(gates: Sequence[Gate], probability: float, generator: torch.Generator) -> list[Gate]:
    """The gates with a random Pauli gate behind some of them, on each of their wires with `probability`."""
    slots = sum(len(gate.wires) for gate in gates)
    hit = iter((torch.rand(slots, generator=generator, device="cpu") < probability).tolist())
    which = iter(torch.randint(3, (slots,), generator=generator, device="cpu").tolist())
    found: list[Gate] = []
    for gate in gates:
        faults = [
            Gate(f"Pauli{'XYZ'[index]}", (w,)) for w, index, hits in zip(gate.wires, which, hit, strict=False) if hits
        ]
        found += [gate, *faults]
    return found


def negated(gates: Sequence[Gate], circuit: Gates) -> tuple[Tensor, Tensor]:
    """Pauli gates among `gates` as signs: (of every angle, in the angles' shape; of every read-out (n,)).

    Args:
        gates: the gates of `circuit` with Pauli gates between them, which are the errors.
        circuit: without those; Pauli gates of its own are no errors.

    Raises:
        InputError: a gate through which a Pauli error does not pass as a sign, for instance CRZ, or an angle that turns
            several gates, whose signs may differ.
    """
    if circuit.shares_angles:
        raise InputError("noise: an angle turns several gates, and errors give each a sign; simulate the faulty gates.")
    own = iter(circuit.gates())
    following = next(own, None)
    flips, turns = [False] * circuit.qubits, [False] * circuit.qubits  # the X and the Z part carried on each wire
    angle_signs = torch.ones(circuit.angle_shape).view(-1)
    for gate in gates:
        kind, target = gate.kind, gate.wires[-1]
        if kind.matrix not in PARTS or (kind.turned and (kind.controlled or gate.angle is None)):
            raise InputError(f"noise: errors do not pass through {gate.name} as signs; simulate the faulty gates.")
        if gate == following:
            following = next(own, None)
            if not kind.turned and not kind.controlled:
                continue  # through a Pauli gate an error passes as it is
        flip, turn = PARTS[kind.matrix]
        anticommutes = (flips[target] and turn) ^ (turns[target] and flip)
        if kind.turned:
            angle_signs[gate.angle] *= -1 if anticommutes else 1
            continue
        if kind.controlled:
            turns[gate.wires[0]] ^= anticommutes
            flip, turn = flip and flips[gate.wires[0]], turn and flips[gate.wires[0]]
        flips[target] ^= flip
        turns[target] ^= turn
    return angle_signs.view(circuit.angle_shape), torch.tensor([-1.0 if flip else 1.0 for flip in flips])
