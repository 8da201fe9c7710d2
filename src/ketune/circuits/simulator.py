"""The plain reference: any circuit, gate after gate, on any states. Every faster evaluation is tested against it.

It holds one state for each token and records every gate for autograd, so it is for few tokens or few qubits.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ketune.circuits.gates import MATRICES, Gate, Gates
from ketune.circuits.layout import signs
from ketune.ground.errors import InputError


def matrix(gate: Gate, angle: Tensor | None, like: Tensor) -> Tensor:
    """The (2, 2) matrix that acts on the gate's last wire, in the dtype of `like`; (B, 2, 2) for angles (B,)."""
    whole = torch.tensor(MATRICES[gate.kind.matrix], dtype=like.dtype, device=like.device)
    if angle is None:
        return whole
    half = angle[..., None, None] / 2
    return torch.cos(half) * torch.eye(2, dtype=like.dtype, device=like.device) - 1j * torch.sin(half) * whole


def act(turn: Tensor, wires: tuple[int, ...], state: Tensor) -> Tensor:
    """A matrix (2, 2) or (B, 2, 2) on the last of `wires` of states (B, N), where the first of two wires is 1."""
    batch, qubits = state.shape[0], state.shape[1].bit_length() - 1
    axes = [1 + wire for wire in wires]
    ends = list(range(-len(wires), 0))
    found = state.reshape(batch, *[2] * qubits).movedim(axes, ends)  # (B, …, [2,] 2)
    turned = torch.einsum("bij,b...j->b...i", turn.expand(batch, 2, 2), found)
    if len(wires) == 2:
        turned = torch.stack([found[..., 0, :], turned[..., 1, :]], -2)
    return turned.movedim(ends, axes).reshape(batch, -1)


def simulate(gates: Sequence[Gate], state: Tensor, angles: Tensor, inputs: Tensor | None = None) -> Tensor:
    """The states (B, N) after `gates`, differentiable.

    Args:
        gates: they act in this order.
        state: (B, N) complex.
        angles: radians, any shape; gates point into its flattened form.
        inputs: (B, n) radians, for gates that take their angle from the token.

    Raises:
        InputError: a gate takes its angle from the token, and no inputs are given.
    """
    flat = angles.reshape(-1)
    for gate in gates:
        angle = None
        if gate.angle is not None:
            angle = flat[gate.angle]
        elif gate.input is not None:
            if inputs is None:
                raise InputError(f"simulate: {gate.name} takes its angle from the token; give inputs (B, n).")
            angle = inputs[:, gate.input]
        state = act(matrix(gate, angle, state), gate.wires, state)
    return state


def start(batch: int, circuit: Gates, like: Tensor) -> Tensor:
    """(B, N): |0…0> for every token, complex, in the precision and on the device of `like`."""
    state = torch.zeros(batch, 1 << circuit.qubits, dtype=like.dtype.to_complex(), device=like.device)
    state[:, 0] = 1
    return state


def read_out(state: Tensor) -> Tensor:
    """⟨Z⟩ (B, n) on every wire of states (B, N)."""
    squares = torch.view_as_real(state).flatten(1).square()  # (B, 2N)
    diagonals = signs(state.shape[1].bit_length() - 1, squares.dtype, squares.device)
    return squares @ diagonals.repeat_interleave(2, 1).t()
