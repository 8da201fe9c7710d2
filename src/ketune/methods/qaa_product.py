"""qaa_product: QAA without its CNOTs. What it reaches, entanglement does not explain.

Source: this project; the circuit and the tuner are QAA's, in `ketune.tuners.amplitude`.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import nn

from ketune.ground.checks import Count, Positive
from ketune.methods import AdapterMethod
from ketune.tuners.amplitude import QAAConfig, describe, groups
from ketune.tuners.residual import Placement


@dataclass(frozen=True, kw_only=True)
class QAAProduct(AdapterMethod):
    """QAA with a product circuit."""

    title = "QAA, no CNOT"
    family = "control"
    source = "this project, after arXiv:2509.16244"
    adapter = QAAConfig
    fixed: ClassVar[dict[str, Any]] = {"entangler": "none"}

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

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """The angles apart from the up projections, as in QAA."""
        return groups(model, self.angle_factor)

    def card(self, model: nn.Module) -> dict[str, Any]:
        """Qubits, gates, backend and weights without gradient."""
        return describe(model)
