"""The closed form of RX + CNOT circuits: one Walsh-Hadamard transform and n weighted products, whatever the depth is.

RX is diagonal in the Hadamard basis and CNOTs permute basis states in both bases. With x of norm 1, x' = C^L x (a
permutation), x̂ = H x' (±1 matrix) and the phases Φ(a) = ½ Σ_T θ_T (-1)^{T·a} (strings T: ketune.circuits.parity),

    w_k(a) = cos(Φ(a) - Φ(a ⊕ e_k))                              (n, N/2), shared by the batch
    z_k    = 2/N Σ_{a: a_k = 0} w_k(a) x̂_a x̂_{a ⊕ e_k}            (n, B)

The circuit is of IQP type: depth adds phases, not cost. The backward pass is the same products once more and one more
transform, so only x, Φ and z are kept. The two steps are operators of torch, opaque to torch.compile. They have no
second derivative; asking for one is an error of torch.
"""

from typing import Any

import torch
from torch import Tensor

from ketune.circuits.ansatz import Circuit
from ketune.circuits.edges import edge_gradients, edge_sums
from ketune.circuits.embedding import scales
from ketune.circuits.layout import edge_rows, entangled_rows, generator_rows, walsh_hadamard


@torch.library.custom_op("ketune::phases", mutates_args=())
def _phases(angles: Tensor, qubits: int, layers: int, entangler: str) -> Tensor:
    strings = torch.zeros(1 << qubits, dtype=angles.dtype, device=angles.device)
    strings.index_add_(0, generator_rows(Circuit(qubits, layers, "RX", entangler), angles.device), angles.reshape(-1))
    return walsh_hadamard(strings[:, None])[:, 0] / 2


@_phases.register_fake
def _(angles: Tensor, qubits: int, layers: int, entangler: str) -> Tensor:
    return angles.new_empty(1 << qubits)


@torch.library.custom_op("ketune::phases_backward", mutates_args=())
def _phases_backward(grad: Tensor, qubits: int, layers: int, entangler: str) -> Tensor:
    rows = generator_rows(Circuit(qubits, layers, "RX", entangler), grad.device)
    return (walsh_hadamard(grad[:, None])[:, 0] / 2)[rows].view(layers, qubits)


@_phases_backward.register_fake
def _(grad: Tensor, qubits: int, layers: int, entangler: str) -> Tensor:
    return grad.new_empty(layers, qubits)


@torch.library.custom_op("ketune::contract", mutates_args=())
def _contract(features: Tensor, phase: Tensor, qubits: int, layers: int, entangler: str) -> Tensor:
    rows = entangled_rows(Circuit(qubits, layers, "RX", entangler), layers, features.device)[: features.shape[1]]
    return edge_sums(features, scales(features), torch.cos(_differences(phase)) * (2 / phase.shape[0]), rows)


@_contract.register_fake
def _(features: Tensor, phase: Tensor, qubits: int, layers: int, entangler: str) -> Tensor:
    return features.new_empty(features.shape[0], qubits)


@torch.library.custom_op("ketune::contract_backward", mutates_args=())
def _contract_backward(
    features: Tensor, phase: Tensor, values: Tensor, grad: Tensor, qubits: int, layers: int, entangler: str
) -> tuple[Tensor, Tensor]:
    rows = entangled_rows(Circuit(qubits, layers, "RX", entangler), layers, features.device)[: features.shape[1]]
    differences, norm = _differences(phase), 2 / phase.shape[0]
    along = 2 * (grad * values).sum(1)
    d_features, d_table = edge_gradients(features, scales(features), torch.cos(differences) * norm, rows, along, grad)
    d_differences = (torch.sin(differences) * d_table * -norm).reshape(-1)
    low, high = edge_rows(qubits, phase.device)
    d_phase = torch.zeros_like(phase).index_add_(0, low.reshape(-1), d_differences)
    return d_features, d_phase.index_add_(0, high.reshape(-1), d_differences, alpha=-1)


@_contract_backward.register_fake
def _(
    features: Tensor, phase: Tensor, values: Tensor, grad: Tensor, qubits: int, layers: int, entangler: str
) -> tuple[Tensor, Tensor]:
    return torch.empty_like(features), torch.empty_like(phase)


def _differences(phase: Tensor) -> Tensor:
    """Φ(a) - Φ(a ⊕ e_k) (n, N/2) for every wire k and every a with bit k 0."""
    low, high = edge_rows(phase.shape[0].bit_length() - 1, phase.device)
    return phase[low] - phase[high]


def _keep_circuit(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.circuit = inputs[1:]


def _keep_all(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    features, phase, *ctx.circuit = inputs
    ctx.save_for_backward(features, phase, output)


_phases.register_autograd(
    lambda ctx, grad: (_phases_backward(grad.contiguous(), *ctx.circuit), None, None, None),
    setup_context=_keep_circuit,
)
_contract.register_autograd(
    lambda ctx, grad: (*_contract_backward(*ctx.saved_tensors, grad, *ctx.circuit), None, None, None),
    setup_context=_keep_all,
)


def phases(angles: Tensor, circuit: Circuit) -> Tensor:
    """Φ (N,) from angles (L, n): each angle at its string, transformed, halved."""
    return _phases(angles, circuit.qubits, circuit.layers, circuit.entangler)


def phase_gradient(grad: Tensor, circuit: Circuit) -> Tensor:
    """dL/dθ (L, n) from dL/dΦ (N,)."""
    return _phases_backward(grad.contiguous(), circuit.qubits, circuit.layers, circuit.entangler)


def contract(features: Tensor, phase: Tensor, circuit: Circuit) -> Tensor:
    """z (B, n) of features (B, d) and the circuit's phases Φ (N,), wherever those come from."""
    return _contract(features, phase, circuit.qubits, circuit.layers, circuit.entangler)


def closed_form(features: Tensor, angles: Tensor, circuit: Circuit) -> Tensor:
    """z (B, n) of features (B, d) and angles (L, n), both in fp32 or both in float64; exact, differentiable in both."""
    return contract(features, phases(angles, circuit), circuit)
