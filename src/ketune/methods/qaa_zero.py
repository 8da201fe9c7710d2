"""qaa_zero: QAA with every angle at 0: parity features of the squares h²/‖h‖². What it reaches needs no rotation.

Source: this project; the circuit and the tuner are QAA's, in `ketune.tuners.amplitude`.
"""

from dataclasses import dataclass
from typing import Any, Literal

from peft import get_peft_model
from torch import nn
from transformers import PreTrainedModel

from ketune.checks import Positive
from ketune.methods import Backbone, Method
from ketune.tuners.amplitude import QAAConfig, describe
from ketune.tuners.residual import Placement, block_ends, qubits
from ketune.tuners.tuner import configure


@dataclass(frozen=True, kw_only=True)
class QAAZero(Method):
    """QAA with angles 0, not trained."""

    title = "QAA, angles 0"
    family = "control"
    source = "this project, after arXiv:2509.16244"

    entangler: Literal["ring", "chain", "none"]
    placement: Placement
    up_projection: Literal["exact", "padded"]
    scale: float
    unit_features: bool
    device: str
    learning_rate: Positive

    def __post_init__(self) -> None:
        super().__post_init__()
        self.config()

    def config(self) -> QAAConfig:
        """The configuration of the tuner."""
        return configure(QAAConfig, self, layers=1, rotation="RX", angle_init="zero", train_angles=False)

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
