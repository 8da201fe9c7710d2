"""h + scale · W_up f(h) with a classical feature map f: what QAA's circuit is held against, at QAA's sites.

The adapter is QAA's, `ketune.tuners.residual`, and nothing but the feature map differs. Source: this project; "silu" is
the bottleneck adapter of Houlsby et al., arXiv:1902.00751.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ketune.circuits.precision import without_autocast
from ketune.closed_forms import qubits
from ketune.ground.checks import Count
from ketune.ground.errors import InputError
from ketune.tuners.registration import register
from ketune.tuners.residual import ResidualConfig
from ketune.tuners.residual_tuner import ResidualTuner


@dataclass
class FeatureMapConfig(ResidualConfig):
    """A classical feature map with an up projection.

    Args:
        map: "constant", the feature 1, which makes W_up a trained vector; "random_linear", A h with A fixed and random;
            "random_quadratic", (a_k·h)(b_k·h)/‖h‖² with A and B fixed and random; "linear", A h with A trained;
            "silu", SiLU(A h) with A trained.
        rank: number of features; None for as many as make the number of weights that of QAA's projection: n =
            ceil(log2 d), and half of them, rounded up, where A is trained too. Unused by "constant".
    """

    kind = "feature_map"

    map: Literal["constant", "random_linear", "random_quadratic", "linear", "silu"] = "linear"
    rank: Count | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.map == "constant" and (self.with_bias or self.centre == "data"):
            raise InputError(
                "feature_map.map: 'constant' is a bias itself, and nothing once centred; allowed are any other map, or "
                "with_bias false and centre 'none'."
            )

    def features(self, width: int) -> int:
        """Number of features for hidden vectors of `width`."""
        if self.map == "constant":
            return 1
        return self.rank or (-(-qubits(width) // 2) if self.trained else qubits(width))

    @property
    def trained(self) -> bool:
        """Whether A is trained."""
        return self.map in ("linear", "silu")

    def feature_map(self, width: int) -> nn.Module:
        """f for hidden vectors of `width`."""
        if self.map == "constant":
            return ConstantFeature()
        if self.map == "random_quadratic":
            return QuadraticFeatures(width, self.features(width))
        kind = SiluFeatures if self.map == "silu" else LinearFeatures
        return kind(width, self.features(width), self.trained)

    def parameters(self, inputs: int, outputs: int) -> int:
        """W_up, the bias and, where it is trained, A."""
        return (1 + self.trained) * self.features(outputs) * outputs + self.with_bias * outputs


class ConstantFeature(nn.Module):
    """f(h) = 1."""

    features = 1

    def forward(self, h: Tensor) -> Tensor:
        """h (…, d) → (…, 1)."""
        return h.new_ones(*h.shape[:-1], 1)


class LinearFeatures(nn.Module):
    """f(h) = A h with A (n, d), drawn as torch draws a linear map, and trained or fixed.

    A fixed A is a buffer, so it is saved with the adapter: no seed needs to be remembered.
    """

    weight: Tensor

    def __init__(self, width: int, features: int, trained: bool) -> None:
        super().__init__()
        self.features = features
        weight = torch.empty(features, width)
        nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
        self.weight = nn.Parameter(weight) if trained else nn.Buffer(weight)

    def forward(self, h: Tensor) -> Tensor:
        """h (…, d) → (…, n)."""
        return nn.functional.linear(h, self.weight.to(h.dtype))


class SiluFeatures(LinearFeatures):
    """f(h) = SiLU(A h)."""

    def forward(self, h: Tensor) -> Tensor:
        """h (…, d) → (…, n)."""
        return nn.functional.silu(super().forward(h))


class QuadraticFeatures(nn.Module):
    """f_k(h) = (a_k·h)(b_k·h) / ‖h‖², blind to the scale and the sign of h as QAA is; A and B (n, d) are fixed."""

    a: Tensor
    b: Tensor

    def __init__(self, width: int, features: int) -> None:
        super().__init__()
        self.features = features
        self.register_buffer("a", torch.randn(features, width))
        self.register_buffer("b", torch.randn(features, width))

    def forward(self, h: Tensor) -> Tensor:
        """h (…, d) → (…, n), in at least float32; 0 where h is 0."""
        with without_autocast(h.device):
            wide = h.to(torch.promote_types(h.dtype, torch.float32))
            a, b = (nn.functional.linear(wide, m.to(wide.dtype)) for m in (self.a, self.b))
            square = wide.square().sum(-1, keepdim=True)
            return a * b / square.clamp_min(torch.finfo(wide.dtype).tiny)


class FeatureMapModel(ResidualTuner):
    """The tuner of classical feature maps."""

    prefix = "feature_map_"


ADAPTER = register("feature_map", FeatureMapConfig, FeatureMapModel)
