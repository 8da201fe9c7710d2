"""qaa_frozen: QAA whose angles stay as they were drawn. What it reaches, training the angles does not explain.

Source: this project; the circuit and the tuner are QAA's, in `ketune.tuners.amplitude`.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import nn

from ketune.ground.checks import Count, Positive
from ketune.methods import AdapterMethod
from ketune.tuners.amplitude import QAAConfig, describe
from ketune.tuners.residual import Placement


@dataclass(frozen=True, kw_only=True)
class QAAFrozen(AdapterMethod):
    """QAA with random angles that are not trained."""

    title = "QAA, frozen angles"
    family = "control"
    source = "this project, after arXiv:2509.16244"
    adapter = QAAConfig
    fixed: ClassVar[dict[str, Any]] = {"train_angles": False}

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

    def card(self, model: nn.Module) -> dict[str, Any]:
        """Qubits, gates, backend and weights without gradient."""
        return describe(model)
