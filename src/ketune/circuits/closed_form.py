"""The closed form of RX + CNOT circuits: one Walsh-Hadamard transform and n weighted products, whatever the depth is.

RX is diagonal in the Hadamard basis and CNOTs permute basis states in both bases. With x of norm 1, x' = C x (all the
CNOTs, a permutation), x̂ = H x' (±1 matrix) and phases Φ(a) = ½ Σ_T θ_T (-1)^{T·a} (strings T: ketune.circuits.parity),

    w_k(a) = cos(Φ(a) - Φ(a ⊕ e_k))                              (n, N/2), shared by the batch
    z_k    = 2/N Σ_{a: a_k = 0} w_k(a) x̂_a x̂_{a ⊕ e_k}            (n, B)

The circuit is of IQP type: depth adds phases, not cost. The backward pass is the same products once more and one more
transform, so only x, Φ and z are kept. There is no second derivative; asking for one is an error of torch.
"""

from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from ketune.circuits import edges, native
from ketune.circuits.gates import Gates
from ketune.circuits.layout import entangled_rows, string_signs


def phases(angles: Tensor, circuit: Gates) -> Tensor:
    """Φ (N,) from the angles of a circuit of RX and CNOT, differentiable.

    Raises:
        InputError: another gate.
    """
    return angles.reshape(-1) @ string_signs(circuit, angles.dtype, angles.device) / 2


def _kernel(features: Tensor, compiled: bool) -> ModuleType:
    """Where the work is done: the compiled kernel for CPUs that have one, else torch's operations."""
    if compiled and features.device.type == "cpu" and native.obstacle(features.dtype) is None:
        return native
    return edges


@torch.library.custom_op("ketune::closed_form", mutates_args=())
def _contract(features: Tensor, phase: Tensor, send: Tensor, compiled: bool) -> Tensor:
    return _kernel(features, compiled).values(features, phase, send)


@torch.library.custom_op("ketune::closed_form_backward", mutates_args=())
def _contract_backward(
    features: Tensor, phase: Tensor, send: Tensor, z: Tensor, grad: Tensor, compiled: bool
) -> tuple[Tensor, Tensor]:
    return _kernel(features, compiled).gradients(features, phase, send, z, grad)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.compiled = inputs
    ctx.save_for_backward(*tensors, output)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
    return *_contract_backward(*ctx.saved_tensors, grad, ctx.compiled), None, None


_contract.register_fake(lambda x, phase, *_: x.new_empty(x.shape[0], phase.shape[0].bit_length() - 1))
_contract_backward.register_fake(lambda x, phase, *_: (torch.empty_like(x), torch.empty_like(phase)))
_contract.register_autograd(_backward, setup_context=_keep)


def contract(features: Tensor, phase: Tensor, circuit: Gates, *, compiled: bool = True) -> Tensor:
    """z (B, n) of features (B, d) and the circuit's phases Φ (N,), wherever those come from."""
    return _contract(features, phase, entangled_rows(circuit, features.device), compiled)


def closed_form(features: Tensor, angles: Tensor, circuit: Gates) -> Tensor:
    """z (B, n) of features (B, d) and angles, both in fp32 or both in float64; exact, differentiable in both.

    Raises:
        InputError: a gate that is neither RX nor CNOT.
    """
    return contract(features, phases(angles, circuit), circuit)


def eager(features: Tensor, angles: Tensor, circuit: Gates) -> Tensor:
    """The same in torch's operations alone."""
    return contract(features, phases(angles, circuit), circuit, compiled=False)
