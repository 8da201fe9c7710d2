"""silu_bottleneck: h + W_up SiLU(A h), the classical bottleneck adapter. Any nonlinearity in place of QAA's.

Source: after Houlsby et al., arXiv:1902.00751. The tuner is QAA's, `ketune.tuners.residual`; the feature map differs.
"""

from dataclasses import dataclass

from peft import get_peft_model
from torch import Tensor, nn
from transformers import PreTrainedModel

from ketune.checks import Count, Positive
from ketune.methods import Backbone, Method
from ketune.tuners.registration import register
from ketune.tuners.residual import LinearFeatures, Placement, RankedConfig, ResidualTuner, block_ends
from ketune.tuners.tuner import configure


class SiluFeatures(LinearFeatures):
    """f(h) = SiLU(A h) with A (rank, d) trained."""

    def forward(self, h: Tensor) -> Tensor:
        """h (…, d) → (…, rank)."""
        return nn.functional.silu(super().forward(h))


@dataclass
class SiluBottleneckConfig(RankedConfig):
    """W_up on SiLU of `rank` trained linear features."""

    kind = "silu_bottleneck"

    def feature_map(self, width: int) -> nn.Module:
        """SiLU of a trained A (rank, d)."""
        return SiluFeatures(width, self.rank, trained=True)


class SiluBottleneckModel(ResidualTuner):
    """The tuner of silu_bottleneck."""

    prefix = "silu_bottleneck_"


register("silu_bottleneck", SiluBottleneckConfig, SiluBottleneckModel)


@dataclass(frozen=True, kw_only=True)
class SiluBottleneck(Method):
    """A trained bottleneck with SiLU."""

    title = "SiLU bottleneck"
    family = "control"
    source = "after Houlsby et al., arXiv:1902.00751"

    rank: Count
    placement: Placement
    scale: float
    learning_rate: Positive

    def __post_init__(self) -> None:
        super().__post_init__()
        configure(SiluBottleneckConfig, self)

    def attach(self, model: PreTrainedModel) -> nn.Module:
        """The model with an adapter on each chosen block."""
        return get_peft_model(model, configure(SiluBottleneckConfig, self))

    def expected_parameters(self, backbone: Backbone) -> int:
        """2 rank d for each block."""
        return sum(2 * self.rank * width for _, width in backbone.sites(*block_ends(self.placement)))
