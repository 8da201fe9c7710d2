"""QTHA: W0 x + (alpha / r) B (Q f(z) + C z) with z = A x, where A and B are tensor trains and f is a network.

f is a quantum network of r qubits, or, in the siblings, a SiLU network in its place or nothing. The bypass C z is
linear, and A and B are what saves parameters, so the siblings tell what the network adds.

Source: arXiv:2503.12790, and the flow MPO, map to r, network beside a bypass, map from r, MPO of its group's released
code, whose start is the default here. As nothing non-linear stands between a tensor train and the map next to it, the
two are multiplied out once a step into A (r, i) and B (o, r): a token costs what it costs LoRA, plus the network.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ketune import circuits, closed_forms
from ketune.circuits import Reuploading, reuploading_expectations
from ketune.circuits.ansatz import Layers
from ketune.circuits.precision import without_autocast
from ketune.ground.checks import Count, Positive
from ketune.ground.errors import InputError
from ketune.tuners.adapter import Dropout
from ketune.tuners.hardware import CircuitModule
from ketune.tuners.layers import InputLayer
from ketune.tuners.registration import register
from ketune.tuners.tensor_train import TensorTrain
from ketune.tuners.tuner import AdapterConfig, Tuner

GAIN = {"released": 0.0, "torch": math.sqrt(5)}
"""The `a` of Kaiming's uniform draw: a map's entries lie within ±sqrt(6 / ((1 + a²) inputs))."""
WIDEST = 16
"""Qubits of the network: at 16 each token takes 90 MB in training, and twice as much with every further one."""


@dataclass
class QTHAConfig(AdapterConfig):
    """Quantum tensor hybrid adaptation: LoRA whose maps are tensor trains, with a quantum network in the bottleneck.

    Args:
        r: width of the bottleneck, and the number of qubits, at most 16 where the network is "quantum".
        bond: bond size χ of the tensor trains.
        inner: width between a tensor train and the map to or from r; None for the power of two nearest, in ratio, to a
            fourteenth of the map's inputs, and 4 at least, which at the released code's 3,584 is its 256. At small
            widths it decides the number of parameters: 256 at 576 inputs cost more than all of LoRA.
        layers: layers of the network.
        map_init: start of the maps that are no tensor trains: "released", as in the released code, or "torch", as torch
            draws a linear map, which is 2.45 times smaller.
        network: "quantum", or a sibling's "silu" or "none".
        alpha: the adapter is scaled by alpha / r.
        dropout: probability of dropping an input in training.

    Also what every `AdapterConfig` takes, `target_modules` and the like.
    """

    kind = "qtha"

    r: Count = 4
    bond: Count = 8
    inner: Count | None = None
    layers: Layers = 1
    map_init: Literal["released", "torch"] = "released"
    network: Literal["quantum", "silu", "none"] = "quantum"
    alpha: Positive = 8.0
    dropout: Dropout = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.network == "quantum" and self.r > WIDEST:
            raise InputError(
                f"qtha.r: {self.r} qubits are 2**{self.r} amplitudes a token; allowed are 1 to {WIDEST}, or any r "
                "with network 'silu' or 'none'."
            )

    def inner_width(self, inputs: int) -> int:
        """The width between a tensor train and its map, in the adapter of a map with so many inputs."""
        return self.inner or closed_forms.inner_width(inputs)

    def adapter(self, inputs: int, outputs: int) -> nn.Module:
        """The adapter beside one map."""
        return HybridAdapter(inputs, outputs, self)

    def parameters(self, inputs: int, outputs: int) -> int:
        """Closed form: two tensor trains, their two maps from and to r, the bypass, and the network with its map Q."""
        network = {
            "quantum": closed_forms.reuploading(self.r, self.layers) + self.r**2,
            "silu": (self.layers + 1) * self.r**2,
            "none": 0,
        }
        inner = self.inner_width(inputs)
        return closed_forms.qtha(inputs, outputs, self.r, self.bond, inner, network[self.network])

    def part(self, parameter: str) -> str:
        """The network with its map Q apart from all that is linear: the tensor trains, their maps and the bypass."""
        return "network" if ".network." in parameter or parameter.endswith(".weighting") else "trains"

    def card(self, model: nn.Module) -> dict[str, Any]:
        """Qubits and gates of the quantum network."""
        if self.network != "quantum":
            return {}
        return circuits.facts(Reuploading(self.r, self.layers)) | {"layers": self.layers, "bond": self.bond}


class QuantumNetwork(CircuitModule):
    """Z on every qubit after `layers` of RY(z), CRZ ring, RY, CRZ ring backwards, RY."""

    def __init__(self, r: int, layers: int) -> None:
        super().__init__()
        self.circuit = Reuploading(r, layers)
        self.angles = nn.Parameter(torch.empty(self.circuit.angle_shape).uniform_(-math.pi, math.pi))

    def forward(self, z: Tensor) -> Tensor:
        """z (…, r) → (…, r)."""
        flat = z.reshape(-1, z.shape[-1])
        if not len(flat):  # no tokens, no circuit
            return z
        read = reuploading_expectations if self.reading is None else self.measured
        return read(flat, self.angles).reshape(z.shape)


class SiluNetwork(nn.Module):
    """`layers` of an (r, r) map and SiLU; at r = 4 it has as many weights as the quantum network has angles."""

    def __init__(self, r: int, layers: int, init: str) -> None:
        super().__init__()
        self.maps = nn.ParameterList(_map(r, r, init) for _ in range(layers))

    def forward(self, z: Tensor) -> Tensor:
        """z (…, r) → (…, r)."""
        for weight in self.maps:
            z = nn.functional.silu(nn.functional.linear(z, weight))
        return z


class HybridAdapter(nn.Module):
    """(alpha / r) B (Q f(A x) + C A x), zero at the start because the last core of B is."""

    def __init__(self, inputs: int, outputs: int, config: QTHAConfig) -> None:
        super().__init__()
        r, init, self.scale = config.r, config.map_init, config.alpha / config.r
        inner = config.inner_width(inputs)
        self.dropout = nn.Dropout(config.dropout)
        self.train_in, self.map_in = TensorTrain(inputs, inner, config.bond), _map(r, inner, init)
        self.map_out, self.train_out = _map(inner, r, init), TensorTrain(inner, outputs, config.bond)
        self.bypass = _map(r, r, init)
        self.network: nn.Module | None = None
        if config.network != "none":
            quantum = config.network == "quantum"
            self.network = QuantumNetwork(r, config.layers) if quantum else SiluNetwork(r, config.layers, init)
            self.weighting = _map(r, r, init)
        if config.init_weights:
            nn.init.zeros_(self.train_out.cores[-1])

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, i) → (B, T, o)."""
        with without_autocast(x.device):
            down = self.train_in.transposed(self.map_in)  # A (r, i)
            up = self.train_out(self.map_out.T).T  # B (o, r)
        z = nn.functional.linear(self.dropout(x), down)
        u = nn.functional.linear(z, self.bypass)
        if self.network is not None:
            u = u + nn.functional.linear(self.network(z), self.weighting)
        return self.scale * nn.functional.linear(u, up)


def _map(outputs: int, inputs: int, init: str) -> nn.Parameter:
    return nn.Parameter(nn.init.kaiming_uniform_(torch.empty(outputs, inputs), a=GAIN[init]))


class QTHAModel(Tuner):
    """The tuner of QTHA and its siblings."""

    prefix = "qtha_"
    tuner_layer_cls = InputLayer


ADAPTER = register("qtha", QTHAConfig, QTHAModel)
