"""QAA: h + scale · W_up z(h), z the expectations of Z after a circuit on n qubits whose amplitudes are h/‖h‖.

The circuit itself is evaluated by `ketune.circuits`; this module knows the angles, their initialisation and the
configuration, and it knows no gate. Amplitudes are computed exactly: d up to 1,024 takes at most 10 qubits.

Source: arXiv:2509.16244, Eq. 8-13. Choices that the paper leaves open: the wiring of the CNOTs (ring), the start of the
angles (uniform over the circle, because RX on a real vector has exactly zero gradient at 0), no bias. Its own count,
123,000, fits attention blocks alone, although its text names both blocks; it also fits a width of 1,024 where the model
has 768. Both are choices here: `placement`, `up_projection`.
"""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ketune import circuits, closed_forms
from ketune.circuits import ROTATIONS, Circuit, expectations, resolve
from ketune.circuits.ansatz import Layers
from ketune.circuits.precision import without_autocast
from ketune.ground.errors import InputError
from ketune.tuners.hardware import CircuitModule
from ketune.tuners.registration import register
from ketune.tuners.residual import ResidualConfig, without_gradient
from ketune.tuners.residual_tuner import ResidualTuner

SPREAD = {"uniform": math.pi, "small": 0.01, "zero": 0.0}
"""Half-width of the interval that angles are drawn from, in radians."""


@dataclass
class QAAConfig(ResidualConfig):
    """Quantum-amplitude embedded adaptation: h + scale · W_up z(h), z the Z expectations of a circuit fed with h/‖h‖.

    Args:
        layers: repetitions of rotations and CNOTs.
        rotation: the trained gates on every qubit, a key of `ketune.circuits.ROTATIONS`.
        entangler: how the CNOTs are wired, a key of `ketune.circuits.WIRINGS`.
        up_projection: "exact" has one row per hidden unit; "padded" has the paper's 2**n rows, of which those beyond
            the hidden width, as we read it, are cut and never receive a gradient.
        angle_init: "uniform" draws from U(-π, π), "small" from U(-0.01, 0.01), "zero" starts at 0.
        train_angles: False keeps the angles as drawn.
        unit_features: multiply the expectations by 2**(n/2): of random vectors their root mean square is 2**(-n/2); of
            SmolLM2's it is up to 1.6 times as large, without CNOTs or at angles 0 five to eight times.
        device: where the circuit is evaluated: "auto", or a PennyLane device such as "lightning.qubit"; not saved.
        gradient: "adjoint", or the paper's "parameter_shift" (Eq. 15): equal values, two circuits for each angle; not
            saved.

    Also `placement`, `scale`, `centre` and `with_bias` of `ResidualConfig`, and what every `AdapterConfig` takes:
    `target_modules`, `exclude_modules`, `modules_to_save`, `layers_to_transform`, `layers_pattern`.

    Example:
        >>> from peft import get_peft_model
        >>> model = get_peft_model(model, QAAConfig(layers=2, entangler="ring", task_type="CAUSAL_LM"))
    """

    kind = "qaa"

    layers: Layers = 1
    rotation: str = "RX"
    entangler: str = "ring"
    up_projection: Literal["exact", "padded"] = "exact"
    angle_init: Literal["uniform", "small", "zero"] = "uniform"
    train_angles: bool = True
    unit_features: bool = False
    device: str = field(default="auto", metadata={"runtime": True})
    gradient: Literal["adjoint", "parameter_shift"] = field(default="adjoint", metadata={"runtime": True})

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            resolve(self.device, self.circuit(2))
        except InputError as error:
            raise InputError(f"qaa.{error}") from error
        if self.train_angles and self.angle_init == "zero" and "RX" in ROTATIONS[self.rotation]:
            raise InputError(
                "qaa.angle_init: 'zero' never trains the angles of RX, whose gradient is exactly 0 there; allowed are "
                "'uniform' and 'small', or rotation RY, or train_angles false."
            )

    def circuit(self, width: int) -> Circuit:
        """The circuit for hidden vectors of `width`."""
        return Circuit.for_width(width, layers=self.layers, rotation=self.rotation, entangler=self.entangler)

    def rows(self, width: int) -> int:
        """d, or 2**n where padded."""
        return 1 << closed_forms.qubits(width) if self.up_projection == "padded" else width

    def parameters(self, inputs: int, outputs: int) -> int:
        """W_up, the bias and, where they are trained, the angles."""
        angles = math.prod(self.circuit(outputs).angle_shape) if self.train_angles else 0
        return closed_forms.qubits(outputs) * self.rows(outputs) + self.with_bias * outputs + angles

    def feature_map(self, width: int) -> nn.Module:
        """The circuit with its angles."""
        return CircuitFeatures(self.circuit(width), self)

    def set_runtime(self, model: nn.Module) -> None:
        """The device and the gradient of every circuit."""
        for found in circuits_in(model):
            found.device, found.gradient = self.device, self.gradient

    def part(self, parameter: str) -> str:
        """The angles apart from the up projections, as their scales have nothing in common."""
        return "angles" if parameter.endswith(".angles") else "projection"

    def card(self, model: nn.Module) -> dict[str, Any]:
        """Qubits, gates, backend; the blocks of one model share a width, so the first speaks for all."""
        found = circuits_in(model)
        circuit = found[0].circuit
        backend = resolve(found[0].device, circuit)
        facts = {
            "adapters": len(found),
            "backend": {"name": backend.name, "mode": backend.mode, "description": backend.description},
            "parameters_without_gradient": without_gradient(model),
        }
        spread = SPREAD[self.angle_init] if self.train_angles else None
        return circuits.card(circuit, spread=spread) | facts | super().card(model)


class CircuitFeatures(CircuitModule):
    """z_k(h) = ⟨Z_k⟩ after the circuit acted on h/‖h‖, for every qubit k. Blind to the scale and the sign of h."""

    angles: Tensor
    circuit: Circuit

    def __init__(self, circuit: Circuit, config: QAAConfig) -> None:
        super().__init__()
        self.circuit, self.features = circuit, circuit.qubits
        self.device, self.gradient = config.device, config.gradient
        self.gain = 2 ** (circuit.qubits / 2) if config.unit_features else 1.0
        spread = SPREAD[config.angle_init]
        angles = torch.empty(circuit.angle_shape).uniform_(-spread, spread)  # (L, n)
        self.angles = nn.Parameter(angles) if config.train_angles else nn.Buffer(angles)

    def forward(self, h: Tensor) -> Tensor:
        """h (…, d) → (…, n), computed at least in float32: half precision costs 1 % of z."""
        dtype = torch.promote_types(h.dtype, torch.float32)
        with without_autocast(h.device):
            flat = h.reshape(-1, h.shape[-1]).to(dtype)
            angles = self.angles.to(dtype)
            if not len(flat):  # no tokens, no circuit
                z = flat.new_zeros(0, self.features)
            elif self.reading is None:
                z = expectations(flat, angles, self.circuit, self.device, gradient=self.gradient)
            else:
                z = self.measured(flat, angles)
        return self.gain * z.reshape(*h.shape[:-1], self.features)


def circuits_in(model: nn.Module) -> list[CircuitFeatures]:
    """Every circuit of a model with QAA adapters."""
    return [module for module in model.modules() if isinstance(module, CircuitFeatures)]


class QAAModel(ResidualTuner):
    """The tuner of QAA."""

    prefix = "qaa_"


ADAPTER = register("qaa", QAAConfig, QAAModel)
