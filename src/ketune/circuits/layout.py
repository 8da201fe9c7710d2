"""How states lie in memory: batch last, (2**n, B), so that every gate is a product of contiguous rows; and constants.

A layer of one-qubit gates on n wires is a Kronecker product; it is applied as two or three small dense matrices, one
for each group of neighbouring wires, which is where a CPU or a GPU is fastest.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

from ketune.circuits.gates import Gates
from ketune.circuits.parity import permutation, strings

P = ParamSpec("P")
R = TypeVar("R")
GROUP = 4  # wires for each dense factor: at most 16 × 16, the best trade of arithmetic against passes on a CPU


def constant(function: Callable[P, R]) -> Callable[P, R]:
    """Keep the results of a function of hashable arguments; torch.compile traces it instead."""

    @lru_cache(maxsize=128)
    def kept(*args: P.args, **kwargs: P.kwargs) -> R:
        with torch.inference_mode(False):  # else a table first needed in inference could not serve training
            return function(*args, **kwargs)

    @wraps(function)
    def look_up(*args: P.args, **kwargs: P.kwargs) -> R:
        # what is kept takes hashable arguments alone, which the signature cannot say
        return function(*args, **kwargs) if torch.compiler.is_compiling() else kept(*args, **kwargs)  # type: ignore[arg-type]

    return look_up


def groups(qubits: int) -> tuple[int, ...]:
    """Sizes of the groups of neighbouring wires, at most GROUP each and as equal as possible: 10 gives (4, 3, 3)."""
    count = -(-qubits // GROUP)
    return tuple(qubits // count + (index < qubits % count) for index in range(count))


def apply_factors(state: Tensor, factors: Sequence[Tensor]) -> Tensor:
    """(F_1 ⊗ F_2 ⊗ …) state for a state (N, B) and square factors; the first acts on the first wires."""
    before, batch = 1, state.shape[1]
    for factor in factors:
        size = factor.shape[-1]
        state = torch.matmul(factor, state.reshape(before, size, -1))
        before *= size
    return state.reshape(-1, batch)


@constant
def signs(qubits: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(n, N): +1 where the bit of the wire is 0, -1 where it is 1 — the diagonals of Z."""
    return parities(tuple(1 << wire for wire in reversed(range(qubits))), qubits, dtype, device)


@constant
def parities(masks: tuple[int, ...], qubits: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(m, N): (-1)^(mask · a) for every mask and every basis state a."""
    common = torch.tensor(masks, device=device)[:, None] & torch.arange(1 << qubits, device=device)
    for shift in (16, 8, 4, 2, 1):
        common ^= common >> shift
    return (1 - 2 * (common & 1)).to(dtype)


@constant
def hadamard(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The ±1 Hadamard matrix (size, size), not normalised."""
    return parities(tuple(range(size)), size.bit_length() - 1, dtype, device)


def walsh_hadamard(state: Tensor) -> Tensor:
    """H state for a state (N, B), with the ±1 matrix: apply twice and divide by N to return."""
    qubits = state.shape[0].bit_length() - 1
    return apply_factors(state, [hadamard(1 << g, state.dtype, state.device) for g in groups(qubits)])


@constant
def string_signs(circuit: Gates, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(m, N): (-1)^(T · a) for the X string T of every angle of a circuit of RX and CNOT."""
    return parities(strings(circuit), circuit.qubits, dtype, device)


@constant
def entangled_rows(circuit: Gates, device: torch.device) -> Tensor:
    """(N,) where all CNOTs of a circuit, without its rotations, send every basis state."""
    return torch.tensor(permutation(circuit), device=device)


@constant
def disentangled_rows(circuit: Gates, device: torch.device) -> Tensor:
    """(N,) where they fetch every basis state from: the inverse of `entangled_rows`."""
    return torch.argsort(entangled_rows(circuit, device))
