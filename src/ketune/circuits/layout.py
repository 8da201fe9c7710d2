"""How states lie in memory: batch last, (2**n, B), so that every gate is a product of contiguous rows.

A layer of one-qubit gates on n wires is a Kronecker product; it is applied as two or three small dense matrices, one
for each group of neighbouring wires, which is where a CPU or a GPU is fastest.
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

from ketune.circuits.ansatz import Circuit
from ketune.circuits.parity import generators, permutation

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
        return function(*args, **kwargs) if torch.compiler.is_compiling() else kept(*args, **kwargs)

    return look_up


def groups(qubits: int) -> tuple[int, ...]:
    """Sizes of the groups of neighbouring wires, at most GROUP each and as equal as possible: 10 gives (4, 3, 3)."""
    count = -(-qubits // GROUP)
    return tuple(qubits // count + (index < qubits % count) for index in range(count))


def apply_factors(state: Tensor, factors: list[Tensor]) -> Tensor:
    """(F_1 ⊗ F_2 ⊗ …) state for a state (N, B) and square factors; the first acts on the first wires."""
    rest, before = state.shape[0], 1
    batch = state.shape[1]
    for factor in factors:
        size = factor.shape[-1]
        rest //= size
        state = torch.matmul(factor, state.reshape(before, size, rest * batch))
        before *= size
    return state.reshape(-1, batch)


@constant
def hadamard(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The ±1 Hadamard matrix (size, size), not normalised."""
    index = torch.arange(size, device=device)
    parity = torch.zeros(size, size, dtype=torch.long, device=device)
    for shift in range(size.bit_length()):
        parity ^= (index[:, None] & index[None, :]) >> shift
    return (1 - 2 * (parity & 1)).to(dtype)


def walsh_hadamard(state: Tensor) -> Tensor:
    """H state for a state (N, B), with the ±1 matrix: apply twice and divide by N to return."""
    qubits = state.shape[0].bit_length() - 1
    return apply_factors(state, [hadamard(1 << g, state.dtype, state.device) for g in groups(qubits)])


@constant
def entangled_rows(circuit: Circuit, times: int, device: torch.device) -> Tensor:
    """(N,) positions to which `times` entanglers send the basis states."""
    return torch.tensor(permutation(circuit, times), device=device)


@constant
def disentangled_rows(circuit: Circuit, times: int, device: torch.device) -> Tensor:
    """(N,) positions from which `times` entanglers fetch: the inverse of `entangled_rows`."""
    return torch.argsort(entangled_rows(circuit, times, device))


@constant
def generator_rows(circuit: Circuit, device: torch.device) -> Tensor:
    """(L n,) the X string of every angle, as a position."""
    return torch.tensor(generators(circuit), device=device)


@constant
def edge_rows(qubits: int, device: torch.device) -> Tensor:
    """(2 · n · N/2,): for every wire the basis states with that bit 0, then, in the same order, their partners."""
    states = torch.arange(1 << qubits, device=device)
    bits = [1 << (qubits - 1 - wire) for wire in range(qubits)]
    low = torch.stack([states[(states & b) == 0] for b in bits])
    return torch.cat([low, low + torch.tensor(bits, device=device)[:, None]]).view(-1)


@constant
def signs(qubits: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(n, N): +1 where the bit of the wire is 0, -1 where it is 1 — the diagonals of Z."""
    states = torch.arange(1 << qubits, device=device)
    shifts = torch.arange(qubits - 1, -1, -1, device=device)
    return (1 - 2 * ((states[None, :] >> shifts[:, None]) & 1)).to(dtype)
