"""qaa_zero: QAA with every angle at 0: parity features of the squares h²/‖h‖². What it reaches needs no rotation.

Source: this project; the circuit and the tuner are QAA's, in `ketune.tuners.amplitude`.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import nn

from ketune.ground.checks import Positive
from ketune.methods import AdapterMethod
from ketune.tuners.amplitude import QAAConfig, describe
from ketune.tuners.residual import Placement


@dataclass(frozen=True, kw_only=True)
class QAAZero(AdapterMethod):
    """QAA with angles 0, not trained."""

    title = "QAA, angles 0"
    family = "control"
    source = "this project, after arXiv:2509.16244"
    adapter = QAAConfig
    fixed: ClassVar[dict[str, Any]] = {"layers": 1, "rotation": "RX", "angle_init": "zero", "train_angles": False}

    entangler: Literal["ring", "chain", "none"]
    placement: Placement
    up_projection: Literal["exact", "padded"]
    scale: float
    unit_features: bool
    device: str
    learning_rate: Positive

    def card(self, model: nn.Module) -> dict[str, Any]:
        """Qubits, gates, backend and weights without gradient."""
        return describe(model)
