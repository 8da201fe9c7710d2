"""QTHA: W0 x + (alpha / r) B (Q f(z) + C z) with z = A x, where A and B are tensor trains and f is a network.

f is a quantum network of r qubits, or, in the siblings, a SiLU network in its place or nothing. The bypass C z is
linear, and A and B are what saves parameters, so the siblings tell what the network adds.

Source: arXiv:2503.12790, and the flow MPO, map to r, network beside a bypass, map from r, MPO of its group's released
code. As nothing non-linear stands between a tensor train and the map next to it, the two are multiplied out once a step
into A (r, i) and B (o, r): a token costs what it costs LoRA, plus the network. Choice of ours: the network's angles
start uniform over the circle. At small widths the tensor trains save nothing: with width 768, r = 4 and bond 8 a map
costs 7,984 parameters, where LoRA of that rank costs 6,144; the published 76 % less needs the widths of a
7-billion-parameter model.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ketune.circuits import Reuploading, drawing, reuploading_expectations
from ketune.ground.checks import Count, Positive
from ketune.tuners.adapter import Dropout
from ketune.tuners.layers import InputLayer
from ketune.tuners.registration import register
from ketune.tuners.tensor_train import TensorTrain, parameters
from ketune.tuners.tuner import AdapterConfig, Tuner

MIDDLE = 256
"""Width between a tensor train and the map to or from r."""


@dataclass
class QTHAConfig(AdapterConfig):
    """Quantum tensor hybrid adaptation.

    Args:
        r: width of the bottleneck, and the number of qubits.
        bond: bond size χ of the tensor trains; at small widths it decides the number of parameters.
        layers: layers of the network.
        network: "quantum", or a sibling's "silu" or "none".
        alpha: the adapter is scaled by alpha / r.
        dropout: probability of dropping an input in training.
    """

    kind = "qtha"

    r: Count = 4
    bond: Count = 8
    layers: Count = 1
    network: Literal["quantum", "silu", "none"] = "quantum"
    alpha: Positive = 8.0
    dropout: Dropout = 0.0

    def adapter(self, inputs: int, outputs: int) -> nn.Module:
        """The adapter beside one map."""
        return HybridAdapter(inputs, outputs, self)

    def parameters(self, inputs: int, outputs: int) -> int:
        """Closed form: two tensor trains, two maps between 256 and r, the bypass, and the network with its map Q."""
        trains = parameters(inputs, MIDDLE, self.bond) + parameters(MIDDLE, outputs, self.bond)
        network = {
            "quantum": math.prod(Reuploading(self.r, self.layers).angle_shape) + self.r**2,
            "silu": (self.layers + 1) * self.r**2,
            "none": 0,
        }
        return trains + 2 * MIDDLE * self.r + self.r**2 + network[self.network]

    def part(self, parameter: str) -> str:
        """The network with its map Q apart from all that is linear: the tensor trains, their maps and the bypass."""
        return "network" if ".network." in parameter or parameter.endswith(".weighting") else "trains"

    def card(self, model: nn.Module) -> dict[str, Any]:
        """Qubits and gates of the quantum network."""
        if self.network != "quantum":
            return {}
        network = Reuploading(self.r, self.layers)
        return {
            "qubits": self.r,
            "layers": self.layers,
            "gates": network.gate_counts,
            "two_qubit_gates": network.two_qubit_gates,
            "depth": network.depth,
            "bond": self.bond,
            "drawing": drawing(network),
        }


class QuantumNetwork(nn.Module):
    """Z on every qubit after `layers` of RY(z), CRZ ring, RY, CRZ ring backwards, RY."""

    def __init__(self, r: int, layers: int) -> None:
        super().__init__()
        shape = Reuploading(r, layers).angle_shape
        self.angles = nn.Parameter(torch.empty(shape).uniform_(-math.pi, math.pi))

    def forward(self, z: Tensor) -> Tensor:
        """z (…, r) → (…, r)."""
        return reuploading_expectations(z.reshape(-1, z.shape[-1]), self.angles).reshape(z.shape)


class SiluNetwork(nn.Module):
    """`layers` of an (r, r) map and SiLU; at r = 4 it has as many weights as the quantum network has angles."""

    def __init__(self, r: int, layers: int) -> None:
        super().__init__()
        self.maps = nn.ParameterList(_map(r, r) for _ in range(layers))

    def forward(self, z: Tensor) -> Tensor:
        """z (…, r) → (…, r)."""
        for weight in self.maps:
            z = nn.functional.silu(nn.functional.linear(z, weight))
        return z


class HybridAdapter(nn.Module):
    """(alpha / r) B (Q f(A x) + C A x), zero at the start because the last core of B is."""

    def __init__(self, inputs: int, outputs: int, config: QTHAConfig) -> None:
        super().__init__()
        r, self.scale = config.r, config.alpha / config.r
        self.dropout = nn.Dropout(config.dropout)
        self.train_in, self.map_in = TensorTrain(inputs, MIDDLE, config.bond), _map(r, MIDDLE)
        self.map_out, self.train_out = _map(MIDDLE, r), TensorTrain(MIDDLE, outputs, config.bond)
        self.bypass = _map(r, r)
        self.network: nn.Module | None = None
        if config.network != "none":
            self.network = (QuantumNetwork if config.network == "quantum" else SiluNetwork)(r, config.layers)
            self.weighting = _map(r, r)
        if config.init_weights:
            nn.init.zeros_(self.train_out.cores[-1])

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, i) → (B, T, o)."""
        with torch.autocast(x.device.type, enabled=False):
            down = self.train_in.transposed(self.map_in)  # A (r, i)
            up = self.train_out(self.map_out.T).T  # B (o, r)
        z = nn.functional.linear(self.dropout(x), down)
        u = nn.functional.linear(z, self.bypass)
        if self.network is not None:
            u = u + nn.functional.linear(self.network(z), self.weighting)
        return self.scale * nn.functional.linear(u, up)


def _map(outputs: int, inputs: int) -> nn.Parameter:
    weight = torch.empty(outputs, inputs)
    return nn.Parameter(nn.init.kaiming_uniform_(weight, a=math.sqrt(5)))


class QTHAModel(Tuner):
    """The tuner of QTHA and its siblings."""

    prefix = "qtha_"
    tuner_layer_cls = InputLayer


ADAPTER = register("qtha", QTHAConfig, QTHAModel)
