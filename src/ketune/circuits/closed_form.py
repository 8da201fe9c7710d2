"""The closed form of RX + CNOT circuits: one Walsh-Hadamard transform and n weighted products, whatever the depth is.

RX is diagonal in the Hadamard basis and CNOTs permute basis states in both bases. With x of norm 1, x' = C x (all the
CNOTs, a permutation), x̂ = H x' (±1 matrix) and phases Φ(a) = ½ Σ_T θ_T (-1)^{T·a} (strings T: ketune.circuits.parity),

    w_k(a) = cos(Φ(a) - Φ(a ⊕ e_k))                              (n, N/2), shared by the batch
    z_k    = 2/N Σ_{a: a_k = 0} w_k(a) x̂_a x̂_{a ⊕ e_k}            (n, B)

The circuit is of IQP type: depth adds phases, not cost. The backward pass is the same products once more and one more
transform, so only x, Φ and z are kept. There is no second derivative; asking for one is an error of torch.
"""

from typing import Any

import torch
from torch import Tensor

from ketune.circuits.edges import edge_gradients, edge_sums
from ketune.circuits.embedding import scales
from ketune.circuits.gates import Gates
from ketune.circuits.layout import constant, disentangled_rows, entangled_rows, string_signs


def phases(angles: Tensor, circuit: Gates) -> Tensor:
    """Φ (N,) from the angles of a circuit of RX and CNOT, differentiable.

    Raises:
        InputError: another gate.
    """
    return angles.reshape(-1) @ string_signs(circuit, angles.dtype, angles.device) / 2


@constant
def _edges(qubits: int, device: torch.device) -> Tensor:
    """(2, n, N/2): for every wire the basis states with that bit 0, and, in the same order, their partners."""
    states = torch.arange(1 << qubits, device=device)
    bits = [1 << (qubits - 1 - wire) for wire in range(qubits)]
    low = torch.stack([states[(states & b) == 0] for b in bits])
    return torch.stack([low, low + torch.tensor(bits, device=device)[:, None]])


def _differences(phase: Tensor) -> Tensor:
    """Φ(a) - Φ(a ⊕ e_k) (n, N/2) for every wire k and every a with bit k 0."""
    low, high = phase[_edges(phase.shape[0].bit_length() - 1, phase.device)].unbind()
    return low - high


@torch.library.custom_op("ketune::closed_form", mutates_args=())
def _contract(features: Tensor, phase: Tensor, fetch: Tensor, send: Tensor) -> Tensor:
    difference = _differences(phase)
    return edge_sums(features, scales(features), torch.cos(difference) / difference.shape[1], fetch)


@torch.library.custom_op("ketune::closed_form_backward", mutates_args=())
def _contract_backward(
    features: Tensor, phase: Tensor, fetch: Tensor, send: Tensor, z: Tensor, grad: Tensor
) -> tuple[Tensor, Tensor]:
    difference, along = _differences(phase), 2 * (grad * z).sum(1)
    half, table = difference.shape[1], torch.cos(difference) / difference.shape[1]
    d_features, d_table = edge_gradients(features, scales(features), table, fetch, send, along, grad)
    d_low = (torch.sin(difference) * d_table).view(-1) / -half
    ends = _edges(difference.shape[0], phase.device).view(-1)
    return d_features, torch.zeros_like(phase).index_add_(0, ends, torch.cat([d_low, -d_low]))


def _keep(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs, output)


_contract.register_fake(lambda x, phase, *_: x.new_empty(x.shape[0], phase.shape[0].bit_length() - 1))
_contract_backward.register_fake(lambda x, phase, *_: (torch.empty_like(x), torch.empty_like(phase)))
_contract.register_autograd(
    lambda ctx, grad: (*_contract_backward(*ctx.saved_tensors, grad), None, None), setup_context=_keep
)


def contract(features: Tensor, phase: Tensor, circuit: Gates) -> Tensor:
    """z (B, n) of features (B, d) and the circuit's phases Φ (N,), wherever those come from."""
    device = features.device
    return _contract(features, phase, disentangled_rows(circuit, device), entangled_rows(circuit, device))


def closed_form(features: Tensor, angles: Tensor, circuit: Gates) -> Tensor:
    """z (B, n) of features (B, d) and angles, both in fp32 or both in float64; exact, differentiable in both.

    Raises:
        InputError: a gate that is neither RX nor CNOT.
    """
    return contract(features, phases(angles, circuit), circuit)
