"""Finite shots and noise: how a trained circuit would score on hardware. For evaluation only; there is no gradient.

Noise model: after every gate, on each of its wires, PennyLane's `DepolarizingChannel(p)` (X, Y or Z with p/3 each); at
the read-out every bit flips with probability q. The state preparation is taken as free of errors, which flatters
hardware: preparing 2**n amplitudes needs about 2**n gates.

A Pauli error passes through rotations and CNOTs as a Pauli error that turns the sign of angles it anticommutes with,
so one random fault pattern is the same circuit with some angles negated and some read-outs negated. Averages over
`Noise.patterns` such patterns, each shared by the batch, are unbiased.

Shots are drawn from the exact distribution: the counts of all 2**n outcomes by splitting them bit by bit with binomial
draws, so the cost does not depend on the number of shots. On PennyLane's devices the device itself samples, row by row.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ketune.circuits import devices
from ketune.circuits.ansatz import Circuit
from ketune.circuits.backends import resolve
from ketune.circuits.layout import signs
from ketune.circuits.statevector import probabilities
from ketune.ground.errors import InputError

ROWS = 1024  # rows sampled at once


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Gate and read-out errors.

    Attributes:
        depolarizing: p, probability of a Pauli error on each wire of each gate.
        readout: q, probability that a measured bit is read wrongly.
        patterns: number of random fault patterns averaged over; with shots, each gets its share of them.
    """

    depolarizing: float = 0.0
    readout: float = 0.0
    patterns: int = 64

    def __post_init__(self) -> None:
        for name, value in (("depolarizing", self.depolarizing), ("readout", self.readout)):
            if not 0 <= value <= 1:
                raise InputError(f"noise.{name}: {value!r} is not a probability; give a number from 0 to 1.")
        if self.patterns < 1:
            raise InputError(f"noise.patterns: {self.patterns!r}; at least 1 is needed, for instance 64.")


def fault_pattern(circuit: Circuit, probability: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """One random pattern: (sign of every angle, in the angles' shape; sign of every read-out (n,))."""
    n, gates = circuit.qubits, circuit.gates()
    slots = sum(len(gate.wires) for gate in gates)
    hit = (torch.rand(slots, generator=generator) < probability).tolist()
    which = torch.randint(3, (slots,), generator=generator).tolist()
    flips, turns = [False] * n, [False] * n  # the X and the Z part of the error carried along on each wire
    angle_signs, slot = torch.ones(circuit.angle_shape).view(-1), 0
    for gate in gates:
        if gate.name == "CNOT":
            control, target = gate.wires
            flips[target] ^= flips[control]
            turns[control] ^= turns[target]
        else:
            wire = gate.wires[0]
            if turns[wire] if gate.name == "RX" else flips[wire] ^ turns[wire]:
                angle_signs[gate.angle] = -1
        for wire in gate.wires:
            if hit[slot]:
                flips[wire] ^= which[slot] != 2  # X or Y
                turns[wire] ^= which[slot] != 0  # Y or Z
            slot += 1
    return angle_signs.view(circuit.angle_shape), torch.tensor([-1.0 if flip else 1.0 for flip in flips])


def estimate(
    features: Tensor,
    angles: Tensor,
    circuit: Circuit,
    device: str,
    mode: str | None,
    shots: int | None,
    noise: Noise | None,
    seed: int | None,
) -> Tensor:
    """⟨Z⟩ (B, n) as measured with `shots` (exact if None) under `noise`."""
    if shots is not None and (isinstance(shots, bool) or not isinstance(shots, int) or shots < 1):
        raise InputError(f"shots: {shots!r} is not a positive whole number; give one, or None for exact expectations.")
    generator = torch.Generator().manual_seed(torch.seed() % (1 << 63) if seed is None else seed)
    noise = noise or Noise(patterns=1)
    patterns = noise.patterns if noise.depolarizing else 1
    total = torch.zeros(features.shape[0], circuit.qubits, dtype=features.dtype, device=features.device)
    for index in range(patterns):
        angle_signs, out_signs = fault_pattern(circuit, noise.depolarizing, generator)
        turned, out_signs = angles * angle_signs.to(angles), out_signs.to(total)
        if shots is None:
            z = resolve(device, circuit, mode, batch=features.shape[0]).evaluate(features, turned, circuit)
            total += out_signs * z * (1 - 2 * noise.readout) / patterns
        else:
            share = shots // patterns + (index < shots % patterns)
            if share:
                z = _measure(features, turned, circuit, device, share, generator)
                total += _misread(out_signs * z, share, noise.readout, generator) * share / shots
    return total


def _measure(
    features: Tensor, angles: Tensor, circuit: Circuit, device: str, shots: int, generator: torch.Generator
) -> Tensor:
    """z (B, n) of `shots` joint measurements of every row; rows of zeros give 0."""
    zero = features.abs().amax(1, keepdim=True) < torch.finfo(features.dtype).tiny
    if resolve(device, circuit).name != "torch":
        z = devices.sample(resolve(device, circuit).name, circuit, features, angles, shots, generator)
    else:
        diagonals = signs(circuit.qubits, torch.float64, torch.device("cpu"))
        parts = [
            draw_counts(probabilities(part, angles, circuit).double().cpu(), shots, generator) @ diagonals.t()
            for part in features.split(ROWS)
        ]
        z = torch.cat(parts) / shots
    return torch.where(zero, 0, z.to(features))


def draw_counts(distribution: Tensor, shots: int, generator: torch.Generator) -> Tensor:
    """Counts (B, N) of `shots` draws from each row of `distribution` (B, N), an exact multinomial sample."""
    size = distribution.shape[1]
    counts = torch.full((distribution.shape[0], 1), float(shots), dtype=torch.float64)
    weights = distribution.sum(1, keepdim=True)
    while counts.shape[1] < size:
        halves = distribution.view(distribution.shape[0], 2 * counts.shape[1], -1).sum(2)
        chance = torch.where(weights > 0, halves[:, ::2] / weights, 0).clamp(0, 1)
        low = torch.binomial(counts, chance, generator=generator)
        counts = torch.stack([low, counts - low], 2).flatten(1)
        weights = halves
    return counts


def _misread(z: Tensor, shots: int, chance: float, generator: torch.Generator) -> Tensor:
    """z (B, n) of `shots` measurements after every bit was flipped with probability `chance`."""
    if not chance:
        return z
    ones = ((1 - z.double().cpu()) / 2 * shots).round()
    lost = torch.binomial(ones, torch.full_like(ones, chance), generator=generator)
    gained = torch.binomial(shots - ones, torch.full_like(ones, chance), generator=generator)
    return (1 - 2 * (ones - lost + gained) / shots).to(z)
