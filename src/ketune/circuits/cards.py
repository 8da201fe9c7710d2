"""What the report prints about a circuit: drawing, gate counts, gradient variance, shots for a precision."""

import math
from typing import Any

import torch

from ketune.circuits.ansatz import Circuit
from ketune.circuits.devices import apply, pennylane
from ketune.circuits.expectation import expectations
from ketune.circuits.gates import Gates

SAMPLES = 64  # of angles and states, for the gradient's variance
PRECISION = 0.01  # of an expectation, for which shots are counted


def drawing(circuit: Gates) -> str:
    """The circuit as text, drawn by PennyLane."""

    def gates() -> None:
        apply(circuit.gates(), [0.0] * math.prod(circuit.angle_shape), inputs=[0.0] * circuit.qubits)

    return pennylane().draw(gates, decimals=None, wire_order=range(circuit.qubits), max_length=160)()


def gradient_variance(circuit: Circuit, spread: float = math.pi) -> float:
    """Variance of ∂⟨Z_k⟩/∂θ at initialisation over random real states, where it falls with 2**-n whatever the gates.

    So it tells how small gradients are, and not by itself that training meets a barren plateau. Each of `SAMPLES` draws
    angles uniform in ±spread, a random real state, and the qubit k that is read.
    """
    generator = torch.Generator().manual_seed(0)
    found = []
    for _ in range(SAMPLES):
        angles = (2 * torch.rand(circuit.angle_shape, generator=generator, dtype=torch.float64) - 1) * spread
        state = torch.randn(1, 1 << circuit.qubits, generator=generator, dtype=torch.float64)
        wire = int(torch.randint(circuit.qubits, (1,), generator=generator))
        angles.requires_grad_()
        z = expectations(state, angles, circuit, "torch")[0, wire]
        found.append(torch.autograd.grad(z, angles)[0].reshape(-1))
    return torch.cat(found).var().item()


def shots_for(precision: float) -> int:
    """Shots after which the standard error of one ⟨Z⟩ is `precision` at most: that of ⟨Z⟩ = 0, 1 / precision²."""
    return math.ceil(precision**-2 * (1 - 1e-12))


def facts(circuit: Gates) -> dict[str, Any]:
    """What can be said of any circuit; JSON types only."""
    return {
        "qubits": circuit.qubits,
        "gates": circuit.gate_counts,
        "two_qubit_gates": circuit.two_qubit_gates,
        "depth": circuit.depth,
        "drawing": drawing(circuit),
    }


def card(circuit: Circuit, *, spread: float | None = math.pi) -> dict[str, Any]:
    """Facts about QAA's circuit for the report; JSON types only.

    Args:
        spread: half-width, in radians, of what trained angles are drawn from; None where angles are not trained, and no
            gradient is then reported.
    """
    variance = {} if spread is None else {"gradient_variance": gradient_variance(circuit, spread)}
    return facts(circuit) | {
        "layers": circuit.layers,
        "rotation": circuit.rotation,
        "entangler": circuit.entangler,
        "angles": math.prod(circuit.angle_shape),
        "shots_for_precision": {"precision": PRECISION, "shots": shots_for(PRECISION)},
        **variance,
    }
