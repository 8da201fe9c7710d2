"""bias_only: h + b, one trained vector for each block. How much of QAA is a bias.

Source: this project; the tuner is QAA's, in `ketune.tuners.residual`, and nothing but the feature map differs.
"""

from dataclasses import dataclass

from peft import get_peft_model
from torch import Tensor, nn
from transformers import PreTrainedModel

from ketune.checks import Positive
from ketune.methods import Backbone, Method
from ketune.tuners.registration import register
from ketune.tuners.residual import Placement, ResidualConfig, ResidualTuner, block_ends
from ketune.tuners.tuner import configure


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


class BiasOnlyModel(ResidualTuner):
    """The tuner of bias_only."""

    prefix = "bias_only_"


register("bias_only", BiasOnlyConfig, BiasOnlyModel)


@dataclass(frozen=True, kw_only=True)
class BiasOnly(Method):
    """One vector for each block."""

    title = "Bias only"
    family = "control"
    source = "this project"

    placement: Placement
    scale: float
    learning_rate: Positive

    def __post_init__(self) -> None:
        super().__post_init__()
        configure(BiasOnlyConfig, self)

    def attach(self, model: PreTrainedModel) -> nn.Module:
        """The model with an adapter on each chosen block."""
        return get_peft_model(model, configure(BiasOnlyConfig, self))

    def expected_parameters(self, backbone: Backbone) -> int:
        """d for each block."""
        return sum(width for _, width in backbone.sites(*block_ends(self.placement)))
