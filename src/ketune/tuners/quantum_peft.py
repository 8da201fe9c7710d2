"""Quantum-PEFT: W0 + U Λ Vᵀ, with U and V the first K columns of orthogonal matrices that a circuit spans.

Two parameterisations. "pauli": the two-design circuit of RY and CZ gates, (2L + 1) n - 2L angles for a matrix of 2**n
rows. "taylor": exp(A) cut after 18 terms, A skew-symmetric with `intrinsic_rank` K' free columns, N K' - K' (K' + 1)/2
weights. Both are linear in x and mergeable: they test quantum structure, not quantum computation.

Source: Koike-Akino et al., arXiv:2503.05431. Departures: a width that is no power of two is padded and sliced, after
which the columns are only nearly orthonormal (the paper splits the circuit instead); Λ has real entries, none of the
±1 kind; Λ starts at 0 and the angles anywhere, so the change of the weight starts at 0.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ketune.circuits import TwoDesign, drawing, two_design_angles, two_design_columns
from ketune.ground.checks import Count, Positive
from ketune.ground.errors import InputError
from ketune.tuners.layers import WeightLayer
from ketune.tuners.registration import register
from ketune.tuners.tuner import AdapterConfig, Tuner

TERMS = 18


@dataclass
class QuantumPEFTConfig(AdapterConfig):
    """Quantum-PEFT.

    Args:
        rank: K, columns of U and V and entries of Λ.
        layers: L of the two-design circuit; unused by "taylor".
        parameterization: "pauli" or "taylor".
        intrinsic_rank: K', free columns of the skew-symmetric matrix; K by default, unused by "pauli".
        scale: factor of the change of the weight.
    """

    kind = "quantum_peft"

    rank: Count = 4
    layers: Count = 1
    parameterization: Literal["pauli", "taylor"] = "pauli"
    intrinsic_rank: Count | None = None
    scale: Positive = 1.0

    def columns(self, width: int) -> "PauliColumns | TaylorColumns":
        """The K columns with `width` rows.

        Raises:
            InputError: there are not as many orthogonal columns of that width.
        """
        intrinsic = self.intrinsic_rank or self.rank
        for name, value in (("rank", self.rank), ("intrinsic_rank", intrinsic)):
            if value > width or width < 2:
                raise InputError(
                    f"quantum_peft.{name}: {value} with a map of width {width}; allowed is 1 to the width, 2 or more."
                )
        if self.parameterization == "pauli":
            return PauliColumns(width, self.rank, self.layers)
        return TaylorColumns(width, self.rank, intrinsic)

    def parameters(self, inputs: int, outputs: int) -> int:
        """Those of U and of V, and K of Λ."""
        return self.column_parameters(inputs) + self.column_parameters(outputs) + self.rank

    def column_parameters(self, width: int) -> int:
        """Parameters of K columns with `width` rows."""
        if self.parameterization == "pauli":
            return two_design_angles((width - 1).bit_length(), self.layers)
        intrinsic = self.intrinsic_rank or self.rank
        return width * intrinsic - intrinsic * (intrinsic + 1) // 2

    def adapter(self, inputs: int, outputs: int) -> nn.Module:
        """The change of one map."""
        return OrthogonalFactors(self.columns(outputs), self.columns(inputs), self)

    def part(self, parameter: str) -> str:
        """Λ apart from what spans U and V, as their scales have nothing in common."""
        return "diagonal" if parameter.endswith(".diagonal") else "angles"

    def card(self, model: nn.Module) -> dict[str, Any]:
        """What spans the columns, and the circuit of the first adapted map's U, where there is one."""
        facts = {"parameterization": self.parameterization, "rank": self.rank, "mergeable": True}
        spans = [module for module in model.modules() if isinstance(module, PauliColumns)]
        if spans:
            circuit = TwoDesign(spans[0].qubits, self.layers)
            facts |= {
                "qubits": circuit.qubits,
                "layers": self.layers,
                "gates": circuit.gate_counts,
                "two_qubit_gates": circuit.two_qubit_gates,
                "depth": circuit.depth,
                "drawing": drawing(circuit),
            }
        return facts


class PauliColumns(nn.Module):
    """The first K columns of the two-design circuit on ceil(log2 N) qubits, N rows of them."""

    def __init__(self, width: int, rank: int, layers: int) -> None:
        super().__init__()
        self.width, self.rank, self.layers, self.qubits = width, rank, layers, (width - 1).bit_length()
        self.angles = nn.Parameter(torch.empty(two_design_angles(self.qubits, layers)).uniform_(-math.pi, math.pi))

    def forward(self) -> Tensor:
        """(N, K)."""
        return two_design_columns(self.angles, self.qubits, self.layers, self.rank)[: self.width]


class TaylorColumns(nn.Module):
    """The first K columns of Σ A^t / t!, t ≤ 18, with A = C - Cᵀ and C (N, N) strictly lower, K' columns of it not 0.

    A is never formed: A X = C' X[:K'] - [C'ᵀ X; 0] with C' the K' columns.
    """

    where: Tensor

    def __init__(self, width: int, rank: int, intrinsic: int) -> None:
        super().__init__()
        self.width, self.rank, self.intrinsic = width, rank, intrinsic
        self.register_buffer("where", torch.tril_indices(width, intrinsic, -1), persistent=False)
        # Entries of size 1/sqrt(N) keep the norm of A near 1, where 18 terms are exact to float32.
        self.entries = nn.Parameter(torch.randn(self.where.shape[1]) / math.sqrt(width))

    def forward(self) -> Tensor:
        """(N, K), in at least float32."""
        entries = self.entries.to(torch.promote_types(self.entries.dtype, torch.float32))
        with torch.autocast(entries.device.type, enabled=False):
            free = entries.new_zeros(self.width, self.intrinsic).index_put(tuple(self.where), entries)  # (N, K')
            term = torch.eye(self.width, self.rank, dtype=entries.dtype, device=entries.device)
            total = term
            for order in range(1, TERMS + 1):
                lifted = nn.functional.pad(free.T @ term, (0, 0, 0, self.width - self.intrinsic))
                term = (free @ term[: self.intrinsic] - lifted) / order
                total = total + term
        return total.to(self.entries.dtype)


class OrthogonalFactors(nn.Module):
    """scale · U Λ Vᵀ; U (o, K), V (i, K)."""

    def __init__(self, left: nn.Module, right: nn.Module, config: QuantumPEFTConfig) -> None:
        super().__init__()
        self.left, self.right, self.scale = left, right, config.scale
        self.diagonal = nn.Parameter(torch.zeros(config.rank))
        if not config.init_weights:
            nn.init.normal_(self.diagonal)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, i) → (B, T, o), without forming the (o, i) matrix."""
        inner = torch.matmul(x, self.right()) * (self.scale * self.diagonal)  # (B, T, K)
        return nn.functional.linear(inner, self.left())

    def delta(self) -> Tensor:
        """(o, i)."""
        return self.scale * (self.left() * self.diagonal) @ self.right().T


class QuantumPEFTModel(Tuner):
    """The tuner of Quantum-PEFT."""

    prefix = "quantum_peft_"
    tuner_layer_cls = WeightLayer


ADAPTER = register("quantum_peft", QuantumPEFTConfig, QuantumPEFTModel)
