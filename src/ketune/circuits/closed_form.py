"""The closed form of RX + CNOT circuits: one Walsh-Hadamard transform and n weighted products, whatever the depth is.

RX is diagonal in the Hadamard basis and CNOTs permute basis states in both bases. With x of norm 1, x' = C^L x (a
permutation), x̂ = H x' (±1 matrix) and the phases Φ(a) = ½ Σ_T θ_T (-1)^{T·a} (strings T: ketune.circuits.parity),

    w_k(a) = cos(Φ(a) - Φ(a ⊕ e_k))                              (n, N/2), shared by the batch
    z_k    = 2/N Σ_{a: a_k = 0} w_k(a) x̂_a x̂_{a ⊕ e_k}            (n, B)

The circuit is of IQP type: depth adds phases, not cost. The backward pass is the same products once more and one more
transform, so only x, its scales, the n N/2 phase differences and z are kept. There is no second derivative; asking for
one is an error of torch.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ketune.circuits.ansatz import Circuit
from ketune.circuits.edges import edge_gradients, edge_sums
from ketune.circuits.embedding import scales
from ketune.circuits.layout import (
    constant,
    disentangled_rows,
    edge_rows,
    entangled_rows,
    generator_rows,
    walsh_hadamard,
)


def phases(angles: Tensor, circuit: Circuit) -> Tensor:
    """Φ (N,) from angles (L, n): each angle at its string, transformed, halved."""
    strings = torch.zeros(1 << circuit.qubits, 1, dtype=angles.dtype, device=angles.device)
    strings.index_add_(0, generator_rows(circuit, angles.device), angles.reshape(-1, 1))
    return walsh_hadamard(strings)[:, 0] / 2


def phase_gradient(grad: Tensor, circuit: Circuit) -> Tensor:
    """dL/dθ (L, n) from dL/dΦ (N,)."""
    found = walsh_hadamard(grad[:, None])[:, 0].index_select(0, generator_rows(circuit, grad.device))
    return found.view(circuit.angle_shape) / 2


def differences(phase: Tensor) -> Tensor:
    """Φ(a) - Φ(a ⊕ e_k) (n, N/2) for every wire k and every a with bit k 0."""
    ends = edge_rows(phase.shape[0].bit_length() - 1, phase.device)
    low, high = phase.index_select(0, ends).view(2, -1, phase.shape[0] // 2).unbind()
    return low - high


def values(features: Tensor, scale: Tensor, difference: Tensor, circuit: Circuit) -> Tensor:
    """z (B, n) of features (B, d), their scales (B,) and the phase differences (n, N/2)."""
    rows = fetched_rows(circuit, features.shape[1], features.device)
    return edge_sums(features, scale, torch.cos(difference) / difference.shape[1], rows)


def gradients(
    features: Tensor, scale: Tensor, difference: Tensor, z: Tensor, grad: Tensor, circuit: Circuit
) -> tuple[Tensor, Tensor]:
    """(dL/dx (B, d), dL/dΦ (N,)) from dL/dz (B, n)."""
    half, width = difference.shape[1], features.shape[1]
    rows = fetched_rows(circuit, width, features.device)
    back = entangled_rows(circuit, circuit.layers, features.device)[:width]
    along = 2 * (grad * z).sum(1)
    d_features, d_table = edge_gradients(features, scale, torch.cos(difference) / half, rows, back, along, grad)
    d_low = (torch.sin(difference) * d_table).view(-1) / -half
    d_phase = torch.zeros(2 * half, dtype=grad.dtype, device=grad.device)
    return d_features, d_phase.index_add_(0, edge_rows(circuit.qubits, grad.device), torch.cat([d_low, -d_low]))


@constant
def fetched_rows(circuit: Circuit, width: int, device: torch.device) -> Tensor:
    """(N,) which entry of x each row of x' = C^L x holds; d, one past the end, where it is padding."""
    return disentangled_rows(circuit, circuit.layers, device).clamp(max=width)


class Contract(torch.autograd.Function):
    """z (B, n) of features (B, d) and the circuit's phases Φ (N,), wherever those come from."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, phase: Tensor, circuit: Circuit) -> Tensor:
        scale, difference = scales(features), differences(phase)
        z = values(features, scale, difference, circuit)
        ctx.circuit = circuit
        ctx.save_for_backward(features, scale, difference, z)
        return z

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        return *gradients(*ctx.saved_tensors, grad, ctx.circuit), None


class ClosedForm(Contract):
    """z (B, n) of features (B, d) and angles (L, n)."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, angles: Tensor, circuit: Circuit) -> Tensor:
        return Contract.forward(ctx, features, phases(angles, circuit), circuit)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        d_features, d_phase = gradients(*ctx.saved_tensors, grad, ctx.circuit)
        return d_features, phase_gradient(d_phase, ctx.circuit), None


@torch.library.custom_op("ketune::closed_form", mutates_args=())
def _operator(features: Tensor, angles: Tensor, qubits: int, layers: int, entangler: str) -> Tensor:
    circuit = Circuit(qubits, layers, "RX", entangler)
    return values(features, scales(features), differences(phases(angles, circuit)), circuit)


@torch.library.custom_op("ketune::closed_form_backward", mutates_args=())
def _operator_backward(
    features: Tensor, angles: Tensor, z: Tensor, grad: Tensor, qubits: int, layers: int, entangler: str
) -> tuple[Tensor, Tensor]:
    circuit = Circuit(qubits, layers, "RX", entangler)
    difference = differences(phases(angles, circuit))
    d_features, d_phase = gradients(features, scales(features), difference, z, grad, circuit)
    return d_features, phase_gradient(d_phase, circuit)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    features, angles, *ctx.circuit = inputs
    ctx.save_for_backward(features, angles, output)


_operator.register_fake(lambda features, angles, qubits, *_: features.new_empty(features.shape[0], qubits))
_operator_backward.register_fake(lambda x, angles, *_: (torch.empty_like(x), torch.empty_like(angles)))
_operator.register_autograd(
    lambda ctx, grad: (*_operator_backward(*ctx.saved_tensors, grad, *ctx.circuit), None, None, None),
    setup_context=_keep,
)


def contract(features: Tensor, phase: Tensor, circuit: Circuit) -> Tensor:
    """z (B, n) of features (B, d) and the circuit's phases Φ (N,), wherever those come from."""
    return Contract.apply(features, phase, circuit)


def closed_form(features: Tensor, angles: Tensor, circuit: Circuit) -> Tensor:
    """z (B, n) of features (B, d) and angles (L, n), both in fp32 or both in float64; exact, differentiable in both."""
    if torch.compiler.is_compiling():  # opaque to the compiler, at the price of a slower dispatch
        return _operator(features, angles, circuit.qubits, circuit.layers, circuit.entangler)
    return ClosedForm.apply(features, angles, circuit)
