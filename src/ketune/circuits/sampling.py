"""Finite shots and noise: how a trained circuit would score on hardware. For evaluation only; there is no gradient.

Averages over `Noise.patterns` random patterns of errors, each shared by the batch, are unbiased. Shots are drawn from
the exact distribution: the counts of all 2**n outcomes by splitting them bit by bit with binomial draws, so the cost
does not depend on the number of shots. On PennyLane's devices and on named machines the device itself measures.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from ketune.circuits.backends import resolve
from ketune.circuits.devices import Device
from ketune.circuits.expectation import check
from ketune.circuits.gates import Gate, Gates
from ketune.circuits.layout import signs
from ketune.circuits.machines import Noisy
from ketune.circuits.measured import run_rows
from ketune.circuits.noise import Noise, faulty, negated
from ketune.circuits.precision import without_autocast
from ketune.circuits.simulator import simulate, start
from ketune.circuits.statevector import probabilities
from ketune.ground.errors import InputError

ROWS = 1024  # rows sampled at once


def measure(
    inputs: Tensor,
    angles: Tensor,
    circuit: Gates,
    device: Device = "torch",
    *,
    shots: int | None = None,
    noise: Noise | None = None,
    seed: int | torch.Generator | None = None,
) -> Tensor:
    """⟨Z_k⟩ of every qubit k as a quantum computer would tell it; for evaluation, there is no gradient.

    Args:
        inputs: (B, d) amplitudes of any norm or, for circuits that take angles from the token, (B, n) radians.
        angles: circuit.angle_shape, radians.
        circuit: the gates.
        device: "torch" (or "auto", which is the same here) draws from the exact distribution; `noisy` gives a named
            machine; otherwise a name of PennyLane's, a function from a number of wires to a device, or a device, which
            runs every row.
        shots: number of measurements for each row, or None for exact expectations.
        noise: depolarizing and readout errors, or None; what a device has of its own comes on top.
        seed: makes shots and noise repeatable where the device can be seeded; a generator goes on from call to call.

    Returns:
        (B, n) in the inputs' dtype and device; rows of zeros as amplitudes give 0.

    Raises:
        InputError: a gradient is asked for, the shapes do not fit, or the device is absent or cannot do it.
    """
    if torch.is_grad_enabled() and (inputs.requires_grad or angles.requires_grad):
        raise InputError("measured expectations have no gradient; evaluate under torch.no_grad(), or train without.")
    check_shots(shots)
    check(inputs, angles, circuit)
    dtype = torch.promote_types(inputs.dtype, torch.float32)
    with torch.no_grad(), without_autocast(inputs.device):
        x, theta = inputs.to(dtype), angles.to(inputs.device, dtype)
        z = _average(x, theta, circuit, device, shots, noise or Noise(patterns=1), _generator(seed))
        return torch.where(_stateless(x, circuit), 0, z).to(inputs.dtype)


def check_shots(shots: int | None) -> None:
    """Raise an InputError where it is no number of measurements."""
    if shots is not None and (isinstance(shots, bool) or not isinstance(shots, int) or shots < 1):
        raise InputError(f"shots: {shots!r} is not a positive whole number; give one, or None for exact expectations.")


def _generator(seed: int | torch.Generator | None) -> torch.Generator:
    if isinstance(seed, torch.Generator):
        return seed
    generator = torch.Generator()  # torch's own, of the user's script, stays as it is
    generator.seed() if seed is None else generator.manual_seed(seed)
    return generator


def _average(
    inputs: Tensor,
    angles: Tensor,
    circuit: Gates,
    device: Device,
    shots: int | None,
    noise: Noise,
    generator: torch.Generator,
) -> Tensor:
    """The mean over the patterns of errors, each with its share of the shots."""
    patterns = noise.patterns if noise.depolarizing else 1
    total = torch.zeros(inputs.shape[0], circuit.qubits, dtype=inputs.dtype, device=inputs.device)
    for index in range(patterns):
        share = None if shots is None else shots // patterns + (index < shots % patterns)
        if share == 0:
            continue
        gates, angle_signs, out_signs = _with_errors(circuit, noise.depolarizing, generator)
        turned = angles * angle_signs.to(angles)
        z = out_signs.to(total) * _read(inputs, turned, circuit, gates, device, share, generator)
        weight = 1 / patterns if shots is None or share is None else share / shots
        total += weight * _misread(z, share, noise.readout, generator)
    return total


def _with_errors(
    circuit: Gates, probability: float, generator: torch.Generator
) -> tuple[Sequence[Gate], Tensor, Tensor]:
    """(gates, signs of the angles, signs of the read-outs): errors as signs or, where they do not pass so, as gates."""
    gates = faulty(circuit.gates(), probability, generator)
    if not probability:  # nothing has to pass through the gates, so any will do
        return circuit.gates(), torch.ones(circuit.angle_shape), torch.ones(circuit.qubits)
    try:
        return circuit.gates(), *negated(gates, circuit)
    except InputError:
        if circuit.reads_amplitudes:  # their read-out below takes the circuit's own gates alone
            raise
        return gates, torch.ones(circuit.angle_shape), torch.ones(circuit.qubits)


def _read(
    inputs: Tensor,
    angles: Tensor,
    circuit: Gates,
    gates: Sequence[Gate],
    device: Device,
    shots: int | None,
    generator: torch.Generator,
) -> Tensor:
    """z (B, n) after `gates`, exact or from `shots` joint measurements of every row; without meaning where a row has no
    state.
    """
    if device not in ("auto", "torch"):
        seed = int(torch.randint(1 << 31, (1,), generator=generator, device="cpu"))
        run = device.run if isinstance(device, Noisy) else partial(run_rows, device)
        return run(circuit, gates, inputs, angles, shots, seed).to(inputs)
    if shots is None and circuit.reads_amplitudes:
        return resolve("torch", circuit).evaluate(inputs, angles, circuit)
    parts = [_distribution(part, angles, circuit, gates).double().cpu() for part in inputs.split(ROWS)]
    parts = parts if shots is None else [draw_counts(part, shots, generator) / shots for part in parts]
    return (torch.cat(parts) @ signs(circuit.qubits, torch.float64, torch.device("cpu")).t()).to(inputs)


def _stateless(inputs: Tensor, circuit: Gates) -> Tensor:
    """(B, 1): rows of zeros as amplitudes."""
    tiny = inputs.abs().amax(1, keepdim=True) < torch.finfo(inputs.dtype).tiny
    return tiny if circuit.reads_amplitudes else torch.zeros_like(tiny)


def _distribution(inputs: Tensor, angles: Tensor, circuit: Gates, gates: Sequence[Gate]) -> Tensor:
    """Probabilities (B, N) of the outcomes."""
    if circuit.reads_amplitudes:
        return probabilities(inputs, angles, circuit)
    state = simulate(gates, start(inputs.shape[0], circuit, inputs), angles, inputs)
    return torch.view_as_real(state).square().sum(-1)


def draw_counts(distribution: Tensor, shots: int, generator: torch.Generator) -> Tensor:
    """Counts (B, N) of `shots` draws from each row of `distribution` (B, N), an exact multinomial sample."""
    size = distribution.shape[1]
    counts = torch.full((distribution.shape[0], 1), float(shots), dtype=torch.float64, device="cpu")
    weights = distribution.sum(1, keepdim=True)
    while counts.shape[1] < size:
        halves = distribution.view(distribution.shape[0], 2 * counts.shape[1], -1).sum(2)
        chance = torch.where(weights > 0, halves[:, ::2] / weights, 0).clamp(0, 1)
        low = torch.binomial(counts, chance, generator=generator)
        counts = torch.stack([low, counts - low], 2).flatten(1)
        weights = halves
    return counts


def _misread(z: Tensor, shots: int | None, chance: float, generator: torch.Generator) -> Tensor:
    """z (B, n), exact or of `shots` measurements, after every bit was flipped with probability `chance`."""
    if not chance:
        return z
    if shots is None:
        return z * (1 - 2 * chance)
    ones = ((1 - z.double().cpu()) / 2 * shots).round()
    lost = torch.binomial(ones, torch.full_like(ones, chance), generator=generator)
    gained = torch.binomial(shots - ones, torch.full_like(ones, chance), generator=generator)
    return (1 - 2 * (ones - lost + gained) / shots).to(z)
