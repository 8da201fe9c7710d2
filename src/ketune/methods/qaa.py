"""qaa: quantum-amplitude embedded adaptation, h + scale · W_up z(h), with z from a simulated circuit.

The circuit has ceil(log2 d) qubits, 10 for d up to 1,024, so its 1,024 amplitudes are always computed exactly.
Source: arXiv:2509.16244, Sec. 3. Its own count, 123,000, fits attention blocks alone, although its text names both
blocks; it also fits a width of 1,024 where the model has 768. Both are choices here: `placement`, `up_projection`.
"""

from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from ketune.ground.checks import Count, Positive
from ketune.methods import AdapterMethod
from ketune.tuners.amplitude import QAAConfig, describe, groups
from ketune.tuners.residual import Placement


@dataclass(frozen=True, kw_only=True)
class QAA(AdapterMethod):
    """Quantum-amplitude embedded adaptation; `angle_factor` multiplies the learning rate of the angles."""

    title = "QAA"
    family = "quantum"
    source = "arXiv:2509.16244, Eq. 8-13"
    adapter = QAAConfig

    layers: Count
    rotation: Literal["RX", "RY"]
    entangler: Literal["ring", "chain", "none"]
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
        """The angles apart from the up projections, as their scales have nothing in common."""
        return groups(model, self.angle_factor)

    def card(self, model: nn.Module) -> dict[str, Any]:
        """Qubits, gates, backend and weights without gradient."""
        return describe(model)
