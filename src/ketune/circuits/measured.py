"""What a PennyLane device measures, one token after another: the way in which a quantum computer is asked.

For evaluation only. Any device will do that can prepare a state and run the circuit's gates: simulators with noise
models, plugins, and machines that are far away.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ketune.circuits.devices import Device, apply, label, make, pennylane
from ketune.circuits.embedding import prepared
from ketune.circuits.gates import Gate, Gates
from ketune.ground.errors import InputError


def run_rows(
    device: Device,
    circuit: Gates,
    gates: Sequence[Gate],
    inputs: Tensor,
    angles: Tensor,
    shots: int | None,
    seed: int | None,
) -> Tensor:
    """⟨Z⟩ (B, n) of every row, executed by the device.

    Args:
        device: a name, a function from a number of wires to a device, or a device.
        circuit: tells how a row enters.
        gates: what is run; the circuit's own gates, or those with errors between them.
        inputs: (B, d) amplitudes of any norm, rows of zeros included, or (B, n) angles.
        angles: the circuit's angles.
        shots: measurements for each row, or None for the exact expectations of a device that has them.
        seed: makes the outcomes repeatable where the device can be seeded; a warning says where it cannot.

    Raises:
        InputError: the device is not available, or has no exact expectations.
    """
    qml, wires = pennylane(), range(circuit.qubits)
    opened, flat = make(device, circuit.qubits, torch.float64, seed), angles.detach().reshape(-1).tolist()
    if shots is None:
        _check_exact(opened, label(device))

    @qml.set_shots(shots)
    @qml.qnode(opened, interface=None, diff_method=None)
    def run(row: Any) -> Any:
        if circuit.reads_amplitudes:
            qml.StatePrep(row, wires=wires)
        apply(gates, flat, inputs=row)
        return [qml.expval(qml.PauliZ(wire)) for wire in wires]

    rows = inputs.double().cpu()
    if circuit.reads_amplitudes:
        rows = prepared(rows, circuit.qubits)  # where a row has no state, the caller replaces its result
    return torch.stack([torch.stack([torch.as_tensor(z) for z in run(row.numpy())]) for row in rows])


def _check_exact(device: Any, name: str) -> None:
    """Some devices answer a request without shots by a number of shots of their own; that is no smooth function."""
    qml = pennylane()

    @qml.qnode(device, interface=None, diff_method=None)
    def probe(angle: float) -> Any:
        qml.RX(angle, wires=0)
        return qml.expval(qml.PauliZ(0))

    moved = abs(float(probe(0.7)) - float(probe(0.7001)))  # exactly 6.4e-5, less under noise
    if not 1e-5 < moved < 1e-4:
        raise InputError(f"shots: {name} has no exact expectations; give a number of shots, for instance 1000.")
