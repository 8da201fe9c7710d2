"""silu_bottleneck: h + W_up SiLU(A h), the classical bottleneck adapter. Any nonlinearity in place of QAA's.

Source: after Houlsby et al., arXiv:1902.00751. The tuner is QAA's, `ketune.tuners.residual`; the feature map differs.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from ketune.ground.checks import Count, Positive
from ketune.methods import AdapterMethod
from ketune.tuners.registration import register
from ketune.tuners.residual import LinearFeatures, Placement, RankedConfig, ResidualTuner


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
class SiluBottleneck(AdapterMethod):
    """A trained bottleneck with SiLU."""

    title = "SiLU bottleneck"
    family = "control"
    source = "after Houlsby et al., arXiv:1902.00751"
    adapter = SiluBottleneckConfig

    rank: Count
    placement: Placement
    scale: float
    learning_rate: Positive
