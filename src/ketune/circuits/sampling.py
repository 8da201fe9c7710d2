"""Finite shots and noise: how a trained circuit would score on hardware. For evaluation only; there is no gradient.

Averages over `Noise.patterns` random patterns of errors, each shared by the batch, are unbiased. Shots are drawn from
the exact distribution: the counts of all 2**n outcomes by splitting them bit by bit with binomial draws, so the cost
does not depend on the number of shots. On PennyLane's devices the device itself samples, row by row.
"""

import torch
from torch import Tensor

from ketune.circuits import devices
from ketune.circuits.ansatz import Circuit
from ketune.circuits.backends import resolve
from ketune.circuits.layout import signs
from ketune.circuits.noise import Noise, faulty, negated
from ketune.circuits.statevector import probabilities
from ketune.ground.errors import InputError

ROWS = 1024  # rows sampled at once


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
        angle_signs, out_signs = negated(faulty(circuit.gates(), noise.depolarizing, generator), circuit)
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
