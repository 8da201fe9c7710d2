"""Quantum-PEFT: W0 + U Λ Vᵀ, with U and V the first K columns of orthogonal matrices that few parameters span.

"pauli" is the two-design circuit of RY and CZ gates, (2L + 1) n - 2L angles for a matrix of 2**n rows. "taylor" is
exp(A), A skew-symmetric with `intrinsic_rank` K' free columns, N K' - K' (K' + 1)/2 weights. "random" is no circuit and
has as many weights as one. All are linear in x and mergeable: they test quantum structure, not quantum computation.

Source: Koike-Akino et al., arXiv:2503.05431. Λ starts at 0, so the change of the weight does.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ketune import circuits, closed_forms
from ketune.circuits import TwoDesign
from ketune.circuits.ansatz import Layers
from ketune.ground.checks import Count, Positive
from ketune.ground.errors import InputError
from ketune.tuners.layers import WeightLayer
from ketune.tuners.orthonormal import Columns, PauliColumns, RandomColumns, TaylorColumns
from ketune.tuners.registration import register
from ketune.tuners.tuner import AdapterConfig, Tuner


@dataclass
class QuantumPEFTConfig(AdapterConfig):
    """Quantum-PEFT: W0 + scale · U Λ Vᵀ, the orthogonal columns U and V from few angles, Λ a trained diagonal.

    Args:
        rank: K, columns of U and V and entries of Λ.
        layers: L of the two-design circuit; unused by "taylor".
        parameterization: "pauli", "taylor", or "random", fixed random columns turned along fixed random directions.
        intrinsic_rank: K', free columns of the skew-symmetric matrix of "taylor"; K by default.
        train_columns: False keeps U and V as drawn, so that only Λ is trained.
        scale: factor of the change of the weight.

    Also what every `AdapterConfig` takes, `target_modules` and the like.
    """

    kind = "quantum_peft"

    rank: Count = 4
    layers: Layers = 1
    parameterization: Literal["pauli", "taylor", "random"] = "pauli"
    intrinsic_rank: Count | None = None
    train_columns: bool = True
    scale: Positive = 1.0

    def columns(self, width: int) -> Columns:
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
        if self.parameterization == "random" and self.rank == width:
            raise InputError(
                f"quantum_peft.rank: {self.rank} with a map of width {width}; 'random' turns columns towards "
                "directions outside of them, so allowed is less than the width."
            )
        if self.parameterization == "taylor":
            return TaylorColumns(width, self.rank, intrinsic, self.train_columns)
        kind = PauliColumns if self.parameterization == "pauli" else RandomColumns
        return kind(width, self.rank, self.layers, self.train_columns)

    def parameters(self, inputs: int, outputs: int) -> int:
        """Those of U and of V, and K of Λ."""
        return self.column_parameters(inputs) + self.column_parameters(outputs) + self.rank

    def column_parameters(self, width: int) -> int:
        """Trained parameters of K columns with `width` rows."""
        free = self.intrinsic_rank or self.rank
        spanned = closed_forms.orthonormal_columns(width, self.parameterization, self.layers, free)
        return spanned if self.train_columns else 0

    def adapter(self, inputs: int, outputs: int) -> nn.Module:
        """The change of one map."""
        return OrthogonalFactors(self.columns(outputs), self.columns(inputs), self)

    def conversion(self) -> str:
        """The change of a weight has rank K."""
        return (
            "`model.merge_and_unload()` adds it to the base weights; "
            f"`peft.save_as_lora(folder, model, rank={self.rank})` writes it as plain LoRA of rank {self.rank}, which "
            "peft loads without ketune."
        )

    def part(self, parameter: str) -> str:
        """Λ apart from what spans U and V, as their scales have nothing in common."""
        return "diagonal" if parameter.endswith(".diagonal") else "angles"

    @property
    def angles_in_radians(self) -> bool:
        """Those of "taylor" are entries of a matrix, about 1/√N large: training measures how far they move by that."""
        return self.parameterization != "taylor"

    def card(self, model: nn.Module) -> dict[str, Any]:
        """What spans the columns, and the circuit of the first adapted map's U, where there is one."""
        facts: dict[str, Any] = {"parameterization": self.parameterization, "rank": self.rank, "mergeable": True}
        spans = [module for module in model.modules() if isinstance(module, PauliColumns)]
        if spans:
            facts |= circuits.facts(TwoDesign(spans[0].qubits, self.layers)) | {"layers": self.layers}
        return facts


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
        inner = torch.matmul(x, self.right().to(x.dtype)) * (self.scale * self.diagonal)  # (B, T, K)
        return nn.functional.linear(inner, self.left().to(x.dtype))

    def delta(self) -> Tensor:
        """(o, i)."""
        left = self.scale * (self.left() * self.diagonal)
        return left @ self.right().T.to(left.dtype)


class QuantumPEFTModel(Tuner):
    """The tuner of Quantum-PEFT."""

    prefix = "quantum_peft_"
    tuner_layer_cls = WeightLayer


ADAPTER = register("quantum_peft", QuantumPEFTConfig, QuantumPEFTModel)
