"""The usual ways of evaluating QAA's circuit with PennyLane: oracles in the tests, competitors in the benchmarks.

Gates come from the same records as the engine's, so a wrong wiring would not show here; the tests compare the wiring
with PennyLane's own templates instead.
"""

from collections.abc import Callable

import pennylane as qml
import torch
from torch import Tensor

from ketune.circuits import Circuit
from ketune.circuits.devices import apply

Evaluate = Callable[[Tensor, Tensor], Tensor]


def default_qubit(circuit: Circuit) -> Evaluate:
    """(features (B, d), angles) to z (B, n) on default.qubit, broadcast over the batch, by backpropagation."""
    wires = range(circuit.qubits)

    @qml.qnode(qml.device("default.qubit", wires=circuit.qubits), interface="torch", diff_method="backprop")
    def run(states: Tensor, angles: Tensor) -> list:
        qml.StatePrep(states, wires=wires)
        apply(circuit.gates(), angles)
        return [qml.expval(qml.PauliZ(wire)) for wire in wires]

    def evaluate(features: Tensor, angles: Tensor) -> Tensor:
        padded = torch.nn.functional.pad(features, (0, (1 << circuit.qubits) - features.shape[1]))
        unit = padded / torch.linalg.vector_norm(padded, dim=1, keepdim=True)
        return torch.stack(run(unit.to(features.dtype.to_complex()), angles.reshape(-1)), 1).to(features.dtype)

    return evaluate


def per_token(circuit: Circuit, method: str, device: str = "lightning.qubit") -> Evaluate:
    """One QNode call for each token with AmplitudeEmbedding: the way in which papers describe it."""
    wires = range(circuit.qubits)

    @qml.qnode(qml.device(device, wires=circuit.qubits), interface="torch", diff_method=method)
    def run(vector: Tensor, angles: Tensor) -> list:
        qml.AmplitudeEmbedding(vector, wires=wires, pad_with=0.0, normalize=True)
        apply(circuit.gates(), angles)
        return [qml.expval(qml.PauliZ(wire)) for wire in wires]

    def evaluate(features: Tensor, angles: Tensor) -> Tensor:
        rows = [torch.stack(run(row, angles.reshape(-1))) for row in features]
        return torch.stack(rows).to(features.dtype)

    return evaluate
