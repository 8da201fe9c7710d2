"""Orthonormal columns with few parameters, by a circuit or without one: the factors U and V of Quantum-PEFT.

All give (N, K) with orthonormal columns at any width N and any parameters. What is not trained is a buffer, so it is
saved with the adapter. This module knows no weight that the columns change.
"""

import math

import torch
from torch import Tensor, nn

from ketune import closed_forms
from ketune.circuits import two_design_columns
from ketune.circuits.precision import without_autocast


class Columns(nn.Module):
    """Columns spanned by one vector of `angles`, which is trained or stays as it was drawn."""

    angles: Tensor

    def __init__(self, width: int, rank: int, start: Tensor, trained: bool) -> None:
        super().__init__()
        self.width, self.rank = width, rank
        self.angles = nn.Parameter(start) if trained else nn.Buffer(start)

    def columns(self, angles: Tensor) -> Tensor:
        """(N, K) of the angles, in at least float32."""
        raise NotImplementedError

    def forward(self) -> Tensor:
        """(N, K), in the angles' dtype."""
        with without_autocast(self.angles.device):
            angles = self.angles.to(torch.promote_types(self.angles.dtype, torch.float32))
            return self.columns(angles).to(self.angles.dtype)


class PauliColumns(Columns):
    """The first K columns of the two-design circuit on ceil(log2 N) qubits; from U(-π, π)."""

    def __init__(self, width: int, rank: int, layers: int, trained: bool = True) -> None:
        self.layers, self.qubits = layers, closed_forms.qubits(width)
        start = torch.empty(closed_forms.two_design(self.qubits, layers)).uniform_(-math.pi, math.pi)
        super().__init__(width, rank, start, trained)

    def columns(self, angles: Tensor) -> Tensor:
        """Where N is no power of two, N rows of the columns, made orthonormal again."""
        whole = two_design_columns(angles, self.qubits, self.layers, self.rank)
        return whole if len(whole) == self.width else orthonormalised(whole[: self.width])


class TaylorColumns(Columns):
    """The first K columns of exp(A), A = C - Cᵀ, C (N, N) strictly lower with K' columns that are not 0."""

    where: Tensor

    def __init__(self, width: int, rank: int, intrinsic: int, trained: bool = True) -> None:
        where = torch.tril_indices(width, intrinsic, -1)
        super().__init__(width, rank, torch.randn(where.shape[1]) / math.sqrt(width), trained)
        self.intrinsic = intrinsic
        self.register_buffer("where", where, persistent=False)

    def columns(self, angles: Tensor) -> Tensor:
        """exp(A) of the first K unit vectors."""
        free = angles.new_zeros(self.width, self.intrinsic).index_put(tuple(self.where), angles)  # (N, K')
        unit = torch.eye(self.width, max(self.rank, self.intrinsic), dtype=angles.dtype, device=angles.device)
        return turned(unit[:, : self.rank], free, unit[:, : self.intrinsic])


class RandomColumns(Columns):
    """A fixed random frame Q (N, K) turned by exp(Y Qᵀ - Q Yᵀ), Y = Σ_j θ_j w_j e_kᵀ with fixed random directions w_j.

    Each θ_j, from 0, turns one column of the frame towards one direction outside of it: as many weights as the circuit
    has angles, and no circuit.
    """

    frame: Tensor
    directions: Tensor

    def __init__(self, width: int, rank: int, layers: int, trained: bool = True) -> None:
        count = closed_forms.two_design(closed_forms.qubits(width), layers)
        super().__init__(width, rank, torch.zeros(count), trained)
        frame = torch.linalg.qr(torch.randn(width, rank)).Q
        directions = torch.randn(width, count)
        directions = directions - frame @ (frame.T @ directions)
        self.register_buffer("frame", frame)
        self.register_buffer("directions", directions / directions.norm(dim=0))

    def columns(self, angles: Tensor) -> Tensor:
        """The turned frame."""
        frame, directions = self.frame.to(angles.dtype), self.directions.to(angles.dtype)
        column = torch.arange(len(angles), device=angles.device) % self.rank
        free = angles.new_zeros(self.width, self.rank).index_add(1, column, directions * angles)
        return turned(frame, free, frame)


def orthonormalised(columns: Tensor) -> Tensor:
    """Gram and Schmidt's columns, in order: (N, K) → (N, K), differentiable."""
    found = columns[:, :0]
    for column in columns.unbind(1):
        rest = column - found @ (found.T @ column)
        found = torch.cat([found, (rest / rest.norm().clamp_min(torch.finfo(rest.dtype).tiny))[:, None]], 1)
    return found


def turned(start: Tensor, free: Tensor, frame: Tensor) -> Tensor:
    """exp(C Fᵀ - F Cᵀ) X for X (N, K), C and F (N, k): (N, K), exactly orthogonal whatever the size of C.

    With B = [C F], the generator is B J Bᵀ, J the symplectic form, hence
        exp(B J Bᵀ) X = X + B φ(J G) J Bᵀ X,  G = Bᵀ B (2k, 2k),  φ(M) = Σ_t M^t / (t + 1)!,
    where φ(M) is a corner of exp([[M, 1], [0, 0]]). Nothing of size (N, N) is formed; sums are in float64.
    """
    basis = torch.cat([free, frame], 1).double()
    size = basis.shape[1]
    one = torch.eye(size, dtype=basis.dtype, device=basis.device)
    form = torch.cat([one[size // 2 :], -one[: size // 2]])
    lifted = torch.cat([torch.cat([form @ (basis.T @ basis), one], 1), torch.zeros_like(torch.cat([one, one], 1))])
    series = torch.linalg.matrix_exp(lifted)[:size, size:]
    return (start.double() + basis @ (series @ (form @ (basis.T @ start.double())))).to(start.dtype)
