"""The general path: exact statevectors in torch for any circuit of one-qubit rotations and CNOTs.

RY + CNOT keeps a real state real; anything with RX is complex. Rotations that follow one another on a wire are one
2 × 2 matrix; a layer is a Kronecker product (ketune.circuits.layout). The backward pass recomputes the states of one
chunk of tokens at a time, so memory grows with depth only by a chunk, never by the batch.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ketune.circuits.ansatz import ROTATIONS, Circuit
from ketune.circuits.embedding import scales
from ketune.circuits.layout import disentangled_rows, entangled_rows, groups, signs

CHUNK = 256


def rotation_matrices(kind: str, angles: Tensor) -> Tensor:
    """(…, 2, 2) matrices of RX (complex) or RY (real) for angles (…)."""
    cosine, sine = torch.cos(angles / 2), torch.sin(angles / 2)
    if kind == "RX":
        zero = torch.zeros_like(cosine)
        cosine, sine = torch.complex(cosine, zero), torch.complex(zero, -sine)
        return torch.stack([cosine, sine, sine, cosine], -1).unflatten(-1, (2, 2))
    return torch.stack([cosine, -sine, sine, cosine], -1).unflatten(-1, (2, 2))


def kronecker(matrices: Tensor) -> list[Tensor]:
    """Dense factors (…, 2**g, 2**g), one for each group of wires, of one-qubit matrices (…, n, 2, 2)."""
    factors, first = [], 0
    for size in groups(matrices.shape[-3]):
        factor = matrices[..., first, :, :]
        for wire in range(first + 1, first + size):
            other = matrices[..., wire, :, :]
            factor = (factor[..., :, None, :, None] * other[..., None, :, None, :]).flatten(-4, -3).flatten(-2, -1)
        factors.append(factor)
        first += size
    return factors


def layer_factors(angles: Tensor, circuit: Circuit) -> list[Tensor]:
    """One (L, 2**g, 2**g) factor for each group of wires: all layers' rotations."""
    if circuit.rotation == "RXRY":
        x, y = rotation_matrices("RX", angles[:, 0]), rotation_matrices("RY", angles[:, 1])
        return kronecker(y.to(x.dtype) @ x)
    return kronecker(rotation_matrices(*ROTATIONS[circuit.rotation], angles))


def _run(state: Tensor, factors: Sequence[Tensor], fetch: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The state before the last entangler, and the input of every factor."""
    inputs, batch = [], state.shape[1]
    for layer in range(factors[0].shape[0]):
        if layer:
            state = state[fetch]
        before = 1
        for factor in factors:
            size = factor.shape[-1]
            state = state.reshape(before, size, -1)
            inputs.append(state)
            state = torch.matmul(factor[layer], state)
            before *= size
        state = state.reshape(-1, batch)
    return state, inputs


@torch.library.custom_op("ketune::statevector", mutates_args=())
def statevector(features: Tensor, factors: Sequence[Tensor], qubits: int, entangler: str) -> Tensor:
    """z (B, n) of features (B, d) and one factor (L, m, m) for each group of wires."""
    fetch, diagonals = _tables(features, qubits, entangler)
    out = features.new_empty(features.shape[0], diagonals.shape[0])
    scale = scales(features)
    for start in range(0, features.shape[0], CHUNK):
        part = slice(start, start + CHUNK)
        state, _ = _run(_embed(features[part], scale[part], fetch.shape[0], factors[0].dtype), factors, fetch)
        out[part] = (diagonals @ _squares(state)).t()
    return out


def _tables(features: Tensor, qubits: int, entangler: str) -> tuple[Tensor, Tensor]:
    """The rows (N,) an entangler fetches from, and the read-out's diagonals (n, N) before the last entangler.

    The last entangler only renames basis states, so it is applied to the diagonals instead of the states.
    """
    one, device = Circuit(qubits, 1, "RY", entangler), features.device
    return disentangled_rows(one, 1, device), signs(qubits, features.dtype, device)[:, entangled_rows(one, 1, device)]


def _embed(features: Tensor, scale: Tensor, size: int, dtype: torch.dtype) -> Tensor:
    state = torch.zeros(size, features.shape[0], dtype=dtype, device=features.device)
    state[: features.shape[1]] = features.t() * scale
    return state


def _squares(state: Tensor) -> Tensor:
    return torch.view_as_real(state).square().sum(-1) if state.is_complex() else state.square()


@statevector.register_fake
def _(features: Tensor, factors: Sequence[Tensor], qubits: int, entangler: str) -> Tensor:
    return features.new_empty(features.shape[0], qubits)


@torch.library.custom_op("ketune::statevector_backward", mutates_args=())
def statevector_backward(
    features: Tensor, factors: Sequence[Tensor], values: Tensor, grad: Tensor, qubits: int, entangler: str
) -> list[Tensor]:
    """[dL/dx (B, d), dL/dfactor (L, m, m), …] from dL/dz (B, n)."""
    d_features, d_factors = torch.empty_like(features), [torch.zeros_like(f) for f in factors]
    fetch, diagonals = _tables(features, qubits, entangler)
    scale, along = scales(features), 2 * (grad * values).sum(1)
    for start in range(0, features.shape[0], CHUNK):
        part = slice(start, start + CHUNK)
        embedded = _embed(features[part], scale[part], fetch.shape[0], factors[0].dtype)
        state, inputs = _run(embedded, factors, fetch)
        costate = 2 * (diagonals.t() @ grad[part].t()) * state
        costate = _run_back(costate, inputs, factors, d_factors, torch.argsort(fetch))
        width = features.shape[1]
        d_features[part] = ((costate[:width].real - along[part] * embedded[:width].real) * scale[part]).t()
    return [d_features, *d_factors]


def _run_back(
    costate: Tensor, inputs: list[Tensor], factors: Sequence[Tensor], d_factors: list[Tensor], fetch: Tensor
) -> Tensor:
    """Carry dL/dstate to the first layer's input; adds to `d_factors` on the way. `fetch` undoes the entangler."""
    shape = costate.shape
    for layer in reversed(range(factors[0].shape[0])):
        for which in reversed(range(len(factors))):
            entered = inputs.pop()
            costate = costate.reshape(entered.shape)
            d_factors[which][layer] += torch.matmul(costate, entered.mH).sum(0)
            costate = torch.matmul(factors[which][layer].mH, costate)
        costate = costate.reshape(shape)
        if layer:
            costate = costate[fetch]
    return costate


@statevector_backward.register_fake
def _(
    features: Tensor, factors: Sequence[Tensor], values: Tensor, grad: Tensor, qubits: int, entangler: str
) -> list[Tensor]:
    return [torch.empty_like(features), *(torch.empty_like(f) for f in factors)]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    features, factors, *ctx.circuit = inputs
    ctx.save_for_backward(features, *factors, output)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor, list[Tensor], None, None]:
    features, *factors, values = ctx.saved_tensors
    d_features, *d_factors = statevector_backward(features, factors, values, grad, *ctx.circuit)
    return d_features, d_factors, None, None


statevector.register_autograd(_backward, setup_context=_keep)


def probabilities(features: Tensor, angles: Tensor, circuit: Circuit) -> Tensor:
    """|ψ|² (B, N) after the circuit, without gradient; rows of zeros give zeros."""
    with torch.no_grad():
        factors, rows = layer_factors(angles, circuit), entangled_rows(circuit, 1, features.device)
        embedded = _embed(features, scales(features), 1 << circuit.qubits, factors[0].dtype)
        state, _ = _run(embedded, factors, disentangled_rows(circuit, 1, features.device))
        return torch.empty_like(state, dtype=features.dtype).index_copy_(0, rows, _squares(state)).t().contiguous()


def general(features: Tensor, angles: Tensor, circuit: Circuit) -> Tensor:
    """z (B, n) of features (B, d) and angles of any circuit, both fp32 or both float64; differentiable in both."""
    return statevector(features, layer_factors(angles, circuit), circuit.qubits, circuit.entangler)
