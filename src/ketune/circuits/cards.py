"""What the report prints about a circuit: drawing, gate counts, gradient variance, shots for a precision."""

import math
from typing import Any

import torch

from ketune.circuits.ansatz import Circuit
from ketune.circuits.devices import apply, pennylane
from ketune.circuits.expectation import expectations
from ketune.circuits.gates import Gates


def drawing(circuit: Gates, *, decimals: int | None = None, angles: torch.Tensor | None = None) -> str:
    """The circuit as text, drawn by PennyLane; with `decimals`, also the values of `angles`."""
    qml = pennylane()
    values = torch.zeros(circuit.angle_shape) if angles is None else angles.detach()

    def gates() -> None:
        apply(circuit.gates(), values.reshape(-1).tolist(), inputs=[0.0] * circuit.qubits)

    return qml.draw(gates, decimals=decimals, wire_order=range(circuit.qubits), max_length=160)()


def gradient_variance(circuit: Circuit, *, samples: int = 64, spread: float = math.pi, seed: int = 0) -> float:
    """Variance of ∂⟨Z_k⟩/∂θ at initialisation; where it falls with 2**-n, training meets a barren plateau.

    Each of the samples draws angles uniform in ±spread, a random real state, and the qubit k that is read.
    """
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(samples):
        angles = (2 * torch.rand(circuit.angle_shape, generator=generator, dtype=torch.float64) - 1) * spread
        state = torch.randn(1, 1 << circuit.qubits, generator=generator, dtype=torch.float64)
        wire = int(torch.randint(circuit.qubits, (1,), generator=generator))
        angles.requires_grad_()
        z = expectations(state, angles, circuit, "torch")[0, wire]
        found.append(torch.autograd.grad(z, angles)[0].reshape(-1))
    return torch.cat(found).var().item()


def shots_for(precision: float, *, expectation: float = 0.0) -> int:
    """Shots after which the standard error of one ⟨Z⟩ is `precision`: (1 - ⟨Z⟩²) / precision², rounded up."""
    return max(1, math.ceil((1 - expectation**2) / precision**2 * (1 - 1e-12)))


def card(
    circuit: Circuit, *, precision: float = 0.01, samples: int = 64, spread: float | None = math.pi
) -> dict[str, Any]:
    """Facts about a circuit for the report; JSON types only.

    Args:
        spread: half-width, in radians, of what trained angles are drawn from; None where angles are not trained, and no
            gradient is then reported.
    """
    variance = (
        {} if spread is None else {"gradient_variance": gradient_variance(circuit, samples=samples, spread=spread)}
    )
    return {
        "qubits": circuit.qubits,
        "layers": circuit.layers,
        "rotation": circuit.rotation,
        "entangler": circuit.entangler,
        "angles": math.prod(circuit.angle_shape),
        "depth": circuit.depth,
        "gates": circuit.gate_counts,
        "two_qubit_gates": circuit.two_qubit_gates,
        **variance,
        "shots_for_precision": {"precision": precision, "shots": shots_for(precision)},
        "drawing": drawing(circuit),
    }
