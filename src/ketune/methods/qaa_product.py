"""qaa_product: QAA without its CNOTs. What it reaches, entanglement does not explain.

Source: this project; the circuit and the tuner are QAA's, in `ketune.tuners.amplitude`.
"""

from dataclasses import dataclass
from typing import Any, Literal

from peft import get_peft_model
from torch import nn
from transformers import PreTrainedModel

from ketune.checks import Count, Positive
from ketune.methods import Backbone, Method
from ketune.tuners.amplitude import QAAConfig, describe, groups
from ketune.tuners.residual import Placement, block_ends, qubits
from ketune.tuners.tuner import configure


@dataclass(frozen=True, kw_only=True)
class QAAProduct(Method):
    """QAA with a product circuit."""

    title = "QAA, no CNOT"
    family = "control"
    source = "this project, after arXiv:2509.16244"

    layers: Count
    rotation: Literal["RX", "RY"]
    placement: Placement
    up_projection: Literal["exact", "padded"]
    angle_init: Literal["uniform", "small", "zero"]
    scale: float
    unit_features: bool
    device: str
    gradient: Literal["adjoint", "parameter_shift"]
    learning_rate: Positive
    angle_factor: Positive

    def __post_init__(self) -> None:
        super().__post_init__()
        self.config()

    def config(self) -> QAAConfig:
        """The configuration of the tuner."""
        return configure(QAAConfig, self, entangler="none")

    def attach(self, model: PreTrainedModel) -> nn.Module:
        """The model with an adapter on each chosen block."""
        return get_peft_model(model, self.config())

    def expected_parameters(self, backbone: Backbone) -> int:
        """n (rows + L) for each block."""
        config = self.config()
        widths = [width for _, width in backbone.sites(*block_ends(self.placement))]
        return sum(qubits(width) * (config.rows(width) + self.layers) for width in widths)

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """The angles apart from the up projections, as in QAA."""
        return groups(model, self.angle_factor)

    def card(self, model: nn.Module) -> dict[str, Any]:
        """Qubits, gates, backend and weights without gradient."""
        return describe(model)
