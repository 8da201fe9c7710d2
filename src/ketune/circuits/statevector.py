"""The general path: exact statevectors in torch for any circuit of one-qubit rotations and CNOTs.

Only RY and CNOT keep a real state real; anything else is complex. Rotations that follow one another on a wire are one
2 × 2 matrix; a layer is a Kronecker product (ketune.circuits.layout). The backward pass recomputes the states of one
chunk of tokens at a time, so memory grows with depth only by a chunk, never by the batch.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ketune.circuits.embedding import scales
from ketune.circuits.gates import MATRICES, Gates
from ketune.circuits.layout import constant, groups, signs
from ketune.circuits.parity import fact, permutation
from ketune.ground.errors import InputError

CHUNK = 256
TURNS = [{name: [[getattr(-1j * entry, part) for entry in row] for row in matrix] for name, matrix in MATRICES.items()}
         for part in ("real", "imag")]  # fmt: skip
"""-iP of every matrix P: its real parts, its imaginary parts."""


@fact
def check(circuit: Gates) -> None:
    """Raise an InputError where the circuit has a gate that is neither a one-qubit rotation nor CNOT."""
    unknown = circuit.beyond(lambda g: g.name == "CNOT" or (g.angle is not None and not g.kind.controlled))
    if unknown:
        raise InputError(
            f"mode: 'statevector' covers one-qubit rotations and CNOT, but the circuit has {unknown}; "
            "use 'register' on a device, or ketune.circuits.simulator."
        )


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


@constant
def _turns(circuit: Gates, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """((S, n) position of each wire's angle, past the end where it is idle; (S, n, 2, 2) -iP) of S segments."""
    idle = math.prod(circuit.angle_shape)
    slots = [{gate.wires[0]: gate for gate in segment.rotations} for segment in circuit.segments]
    positions = [[row[w].angle if w in row else idle for w in range(circuit.qubits)] for row in slots]
    kinds = [[row[w].kind.matrix if w in row else "Y" for w in range(circuit.qubits)] for row in slots]
    real, imag = (
        torch.tensor([[part[name] for name in row] for row in kinds], dtype=dtype, device=device) for part in TURNS
    )
    only_real = all(name == "Y" for row in kinds for name in row)
    return torch.tensor(positions, device=device), real if only_real else torch.complex(real, imag)


def segment_matrices(angles: Tensor, circuit: Gates) -> Tensor:
    """(S, n, 2, 2): cos(θ/2) - i sin(θ/2) P of every wire in every segment; real where all P are Y."""
    positions, turns = _turns(circuit, angles.dtype, angles.device)
    half = torch.cat([angles.reshape(-1), angles.new_zeros(1)])[positions, None, None] / 2
    return torch.cos(half) * torch.eye(2, dtype=angles.dtype, device=angles.device) + torch.sin(half) * turns


def layer_factors(angles: Tensor, circuit: Gates) -> list[Tensor]:
    """One (L, 2**g, 2**g) factor for each group of wires; segments without gates between them are one layer."""
    layers: list[Tensor] = []
    for first, matrices in zip(_starts(circuit), segment_matrices(angles, circuit), strict=True):
        if first:
            layers.append(matrices)
        else:
            layers[-1] = matrices @ layers[-1]
    return kronecker(torch.stack(layers))


@fact
def _starts(circuit: Gates) -> tuple[bool, ...]:
    """Of every segment, whether gates without an angle, or nothing, came before it."""
    return (True, *(bool(segment.fixed) for segment in circuit.segments[:-1]))


@constant
def _tables(circuit: Gates, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """((L - 1, N) rows fetched between layers, (n, N) diagonals of the read-out before the last layer's CNOTs).

    The last CNOTs only rename basis states, so they are applied to the diagonals instead of the states.
    """
    sent = [permutation(circuit, i) for i, segment in enumerate(circuit.segments[:-1]) if segment.fixed]
    diagonals = signs(circuit.qubits, dtype, device)[:, _last(circuit, device)]
    return torch.argsort(torch.tensor(sent, device=device)), diagonals


def _last(circuit: Gates, device: torch.device) -> Tensor:
    """(N,) where the last layer's CNOTs send every basis state."""
    return torch.tensor(permutation(circuit, -1), device=device)


def _run(state: Tensor, factors: Sequence[Tensor], fetch: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The state (N, B) before the last CNOTs, and the input of every factor."""
    inputs, batch = [], state.shape[1]
    for layer in range(factors[0].shape[0]):
        if layer:
            state = state[fetch[layer - 1]]
        before = 1
        for factor in factors:
            state = state.reshape(before, factor.shape[-1], -1)
            inputs.append(state)
            state = torch.matmul(factor[layer], state)
            before *= factor.shape[-1]
        state = state.reshape(-1, batch)
    return state, inputs


@torch.library.custom_op("ketune::statevector", mutates_args=())
def statevector(features: Tensor, factors: Sequence[Tensor], fetch: Tensor, diagonals: Tensor) -> Tensor:
    """z (B, n) of features (B, d), one factor (L, m, m) for each group of wires, and the circuit's tables."""
    out = features.new_empty(features.shape[0], diagonals.shape[0])
    scale = scales(features)
    for start in range(0, features.shape[0], CHUNK):
        part = slice(start, start + CHUNK)
        state, _ = _run(_embed(features[part], scale[part], diagonals.shape[1], factors[0].dtype), factors, fetch)
        out[part] = (diagonals @ _squares(state)).t()
    return out


def _embed(features: Tensor, scale: Tensor, size: int, dtype: torch.dtype) -> Tensor:
    state = torch.zeros(size, features.shape[0], dtype=dtype, device=features.device)
    state[: features.shape[1]] = features.t() * scale
    return state


def _squares(state: Tensor) -> Tensor:
    return torch.view_as_real(state).square().sum(-1) if state.is_complex() else state.square()


@torch.library.custom_op("ketune::statevector_backward", mutates_args=())
def statevector_backward(
    features: Tensor, factors: Sequence[Tensor], fetch: Tensor, diagonals: Tensor, values: Tensor, grad: Tensor
) -> list[Tensor]:
    """[dL/dx (B, d), dL/dfactor (L, m, m), …] from dL/dz (B, n)."""
    d_features, d_factors = torch.empty_like(features), [torch.zeros_like(f) for f in factors]
    scale, along, width, back = scales(features), 2 * (grad * values).sum(1), features.shape[1], torch.argsort(fetch)
    for start in range(0, features.shape[0], CHUNK):
        part = slice(start, start + CHUNK)
        embedded = _embed(features[part], scale[part], diagonals.shape[1], factors[0].dtype)
        state, inputs = _run(embedded, factors, fetch)
        costate = 2 * (diagonals.t() @ grad[part].t()) * state
        costate = _run_back(costate, inputs, factors, d_factors, back)
        d_features[part] = ((costate[:width].real - along[part] * embedded[:width].real) * scale[part]).t()
    return [d_features, *d_factors]


def _run_back(
    costate: Tensor, inputs: list[Tensor], factors: Sequence[Tensor], d_factors: list[Tensor], back: Tensor
) -> Tensor:
    """Carry dL/dstate to the first layer's input; adds to `d_factors` on the way. `back` undoes the fetching."""
    shape = costate.shape
    for layer in reversed(range(factors[0].shape[0])):
        for which in reversed(range(len(factors))):
            entered = inputs.pop()
            costate = costate.reshape(entered.shape)
            d_factors[which][layer] += torch.matmul(costate, entered.mH).sum(0)
            costate = torch.matmul(factors[which][layer].mH, costate)
        costate = costate.reshape(shape)
        if layer:
            costate = costate[back[layer - 1]]
    return costate


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    features, factors, fetch, diagonals = inputs
    ctx.save_for_backward(features, *factors, fetch, diagonals, output)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor, list[Tensor], None, None]:
    features, *factors, fetch, diagonals, values = ctx.saved_tensors
    d_features, *d_factors = statevector_backward(features, factors, fetch, diagonals, values, grad)
    return d_features, d_factors, None, None


statevector.register_fake(lambda x, factors, fetch, diagonals: x.new_empty(x.shape[0], diagonals.shape[0]))
statevector_backward.register_fake(
    lambda x, factors, *_: [torch.empty_like(x), *(torch.empty_like(factor) for factor in factors)]
)
statevector.register_autograd(_backward, setup_context=_keep)


def probabilities(features: Tensor, angles: Tensor, circuit: Gates) -> Tensor:
    """|ψ|² (B, N) after the circuit, without gradient; rows of zeros give zeros."""
    check(circuit)
    with torch.no_grad():
        factors, (fetch, _) = layer_factors(angles, circuit), _tables(circuit, features.dtype, features.device)
        state, _ = _run(_embed(features, scales(features), 1 << circuit.qubits, factors[0].dtype), factors, fetch)
        found, rows = torch.empty_like(state, dtype=features.dtype), _last(circuit, features.device)
        return found.index_copy_(0, rows, _squares(state)).t().contiguous()


def general(features: Tensor, angles: Tensor, circuit: Gates) -> Tensor:
    """z (B, n) of features (B, d) and angles of a circuit, both fp32 or both float64; differentiable in both.

    Raises:
        InputError: a gate that is neither a one-qubit rotation nor CNOT.
    """
    check(circuit)
    return statevector(features, layer_factors(angles, circuit), *_tables(circuit, features.dtype, features.device))
