"""bias_only: h + b, one trained vector for each block. How much of QAA is a bias.

Source: this project; the tuner is QAA's, in `ketune.tuners.residual`, and nothing but the feature map differs.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from ketune.ground.checks import Positive
from ketune.methods import AdapterMethod
from ketune.tuners.registration import register
from ketune.tuners.residual import Placement, ResidualConfig, ResidualTuner


class One(nn.Module):
    """f(h) = 1."""

    features = 1

    def forward(self, h: Tensor) -> Tensor:
        """h (…, d) → (…, 1)."""
        return h.new_ones(*h.shape[:-1], 1)


@dataclass
class BiasOnlyConfig(ResidualConfig):
    """A trained vector: W_up on the feature 1."""

    kind = "bias_only"

    def feature_map(self, width: int) -> nn.Module:
        """The constant 1."""
        return One()

    def parameters(self, inputs: int, outputs: int) -> int:
        """The vector."""
        return outputs


class BiasOnlyModel(ResidualTuner):
    """The tuner of bias_only."""

    prefix = "bias_only_"


register("bias_only", BiasOnlyConfig, BiasOnlyModel)


@dataclass(frozen=True, kw_only=True)
class BiasOnly(AdapterMethod):
    """One vector for each block."""

    title = "Bias only"
    family = "control"
    source = "this project"
    adapter = BiasOnlyConfig

    placement: Placement
    scale: float
    learning_rate: Positive
