"""How the circuits of an adapted model are read: exactly while it is trained, or as a quantum computer tells them.

A module with a circuit that runs on tokens keeps its `reading`, which is None but within `as_hardware`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ketune.circuits import Noise, measure
from ketune.circuits.devices import Device
from ketune.circuits.gates import Gates
from ketune.circuits.sampling import check_shots
from ketune.ground.errors import InputError


@dataclass(frozen=True)
class Reading:
    """What `ketune.circuits.measure` is told."""

    device: Device
    shots: int | None
    noise: Noise | None
    generator: torch.Generator


class CircuitModule(nn.Module):
    """A module whose circuit runs on tokens.

    Attributes:
        circuit: its gates.
        reading: how the circuit is measured, or None where it is evaluated exactly.
    """

    circuit: Gates
    reading: Reading | None = None

    def measured(self, inputs: Tensor, angles: Tensor) -> Tensor:
        """z (B, n) of amplitudes (B, d) or angles (B, n), as `reading` says.

        Raises:
            InputError: in training mode, because what is measured has no gradient.
        """
        how = self.reading
        if how is None or self.training:
            raise InputError(
                "as_hardware: the model is in training mode, but measured circuits have no gradient; call model.eval() "
                "first, or train outside of the block."
            )
        return measure(inputs, angles, self.circuit, how.device, shots=how.shots, noise=how.noise, seed=how.generator)


@contextmanager
def as_hardware(
    model: nn.Module,
    *,
    shots: int | None = None,
    noise: Noise | None = None,
    device: Device = "torch",
    seed: int = 0,
) -> Iterator[None]:
    """Within the block, every circuit of `model` that runs on tokens is read as a quantum computer would be.

    For evaluation: the block is without gradients. Blocks may be nested; the inner one counts, and the outer one counts
    again when it ends.

    Args:
        model: any model with QAA or QTHA adapters.
        shots: measurements of each circuit for each token; None for exact expectations.
        noise: depolarizing and readout errors; None for none.
        device: "torch", which draws from the exact distribution; `ketune.circuits.noisy("FakeTorino")`, a machine's
            gates, wiring and noise; or PennyLane's that runs every token: a name, a function from a number of wires to
            a device, or a device.
        seed: of all random outcomes within the block; a warning says where a device cannot be seeded.

    Raises:
        InputError: nothing would change.

    Example:
        >>> with as_hardware(model, shots=1000, noise=Noise(depolarizing=0.001, readout=0.01)):
        ...     loss = model(input_ids=ids, labels=ids).loss
    """
    found = [module for module in model.modules() if isinstance(module, CircuitModule)]
    if not found:
        raise InputError(
            "as_hardware: no circuit of this model runs on tokens, so nothing would change; give a model with QAA or "
            "with QTHA whose network is 'quantum' (Quantum-PEFT's circuit is a formula for weights)."
        )
    if not isinstance(noise, Noise | None):
        raise InputError(f"as_hardware: noise is {noise!r}; give ketune.Noise(depolarizing=…, readout=…), or None.")
    quiet = noise is None or not (noise.depolarizing or noise.readout)
    if shots is None and quiet and device in ("auto", "torch"):
        raise InputError("as_hardware: neither shots nor noise nor device given, so nothing would change; give one.")
    check_shots(shots)
    before = [module.reading for module in found]
    reading = Reading(device, shots, noise, torch.Generator().manual_seed(seed))
    for module in found:
        module.reading = reading
    try:
        with torch.no_grad():
            yield
    finally:
        for module, earlier in zip(found, before, strict=True):
            module.reading = earlier
