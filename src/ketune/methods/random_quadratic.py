"""random_quadratic: h + W_up q(h) with q_k = (a_k·h)(b_k·h)/‖h‖², a_k and b_k fixed and random.

A generic map of QAA's kind: one normalised quadratic form for each qubit.

Source: this project; the tuner is QAA's, in `ketune.tuners.residual`, and nothing but the feature map differs.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ketune.ground.checks import Positive
from ketune.methods import AdapterMethod
from ketune.tuners.registration import register
from ketune.tuners.residual import Placement, ResidualConfig, ResidualTuner, qubits


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
        with torch.autocast(h.device.type, enabled=False):
            wide = h.to(torch.promote_types(h.dtype, torch.float32))
            a, b = (nn.functional.linear(wide, m.to(wide.dtype)) for m in (self.a, self.b))
            square = wide.square().sum(-1, keepdim=True)
            return a * b / square.clamp_min(torch.finfo(wide.dtype).tiny)


@dataclass
class RandomQuadraticConfig(ResidualConfig):
    """W_up on n = ceil(log2 d) fixed random quadratic forms over ‖h‖²."""

    kind = "random_quadratic"

    def feature_map(self, width: int) -> nn.Module:
        """Fixed A and B (n, d)."""
        return QuadraticFeatures(width, qubits(width))


class RandomQuadraticModel(ResidualTuner):
    """The tuner of random_quadratic."""

    prefix = "random_quadratic_"


register("random_quadratic", RandomQuadraticConfig, RandomQuadraticModel)


@dataclass(frozen=True, kw_only=True)
class RandomQuadratic(AdapterMethod):
    """W_up on fixed random normalised quadratic features."""

    title = "Random quadratic map"
    family = "control"
    source = "this project"
    adapter = RandomQuadraticConfig

    placement: Placement
    scale: float
    learning_rate: Positive
