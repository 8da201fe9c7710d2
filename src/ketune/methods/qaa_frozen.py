"""qaa_frozen: QAA whose angles stay as they were drawn. What it reaches, training the angles does not explain.

Source: this project; the circuit and the tuner are QAA's, in `ketune.tuners.amplitude`.
"""

from dataclasses import dataclass
from typing import Any, Literal

from peft import get_peft_model
from torch import nn
from transformers import PreTrainedModel

from ketune.checks import Count, Positive
from ketune.methods import Backbone, Method
from ketune.tuners.amplitude import QAAConfig, describe
from ketune.tuners.residual import Placement, block_ends, qubits
from ketune.tuners.tuner import configure


@dataclass(frozen=True, kw_only=True)
class QAAFrozen(Method):
    """QAA with random angles that are not trained."""

    title = "QAA, frozen angles"
    family = "control"
    source = "this project, after arXiv:2509.16244"

    layers: Count
    rotation: Literal["RX", "RY"]
    entangler: Literal["ring", "chain", "none"]
    placement: Placement
    up_projection: Literal["exact", "padded"]
    angle_init: Literal["uniform", "small"]
    scale: float
    unit_features: bool
    device: str
    learning_rate: Positive

    def __post_init__(self) -> None:
        super().__post_init__()
        self.config()

    def config(self) -> QAAConfig:
        """The configuration of the tuner."""
        return configure(QAAConfig, self, train_angles=False)

    def attach(self, model: PreTrainedModel) -> nn.Module:
        """The model with an adapter on each chosen block."""
        return get_peft_model(model, self.config())

    def expected_parameters(self, backbone: Backbone) -> int:
        """n rows for each block."""
        config = self.config()
        widths = [width for _, width in backbone.sites(*block_ends(self.placement))]
        return sum(qubits(width) * config.rows(width) for width in widths)

    def card(self, model: nn.Module) -> dict[str, Any]:
        """Qubits, gates, backend and weights without gradient."""
        return describe(model)
