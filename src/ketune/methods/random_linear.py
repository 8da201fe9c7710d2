"""random_linear: h + W_up A h with a fixed random A of n rows, as many as QAA has qubits.

Beside QAA it tells what quadratic features add to linear ones.

Source: this project; the tuner is QAA's, in `ketune.tuners.residual`, and nothing but the feature map differs.
"""

from dataclasses import dataclass

from torch import nn

from ketune.ground.checks import Positive
from ketune.methods import AdapterMethod
from ketune.tuners.registration import register
from ketune.tuners.residual import LinearFeatures, Placement, ResidualConfig, ResidualTuner, qubits


@dataclass
class RandomLinearConfig(ResidualConfig):
    """W_up on n = ceil(log2 d) fixed random linear features."""

    kind = "random_linear"

    def feature_map(self, width: int) -> nn.Module:
        """A fixed A (n, d)."""
        return LinearFeatures(width, qubits(width), trained=False)


class RandomLinearModel(ResidualTuner):
    """The tuner of random_linear."""

    prefix = "random_linear_"


register("random_linear", RandomLinearConfig, RandomLinearModel)


@dataclass(frozen=True, kw_only=True)
class RandomLinear(AdapterMethod):
    """W_up on fixed random linear features."""

    title = "Random linear map"
    family = "control"
    source = "this project"
    adapter = RandomLinearConfig

    placement: Placement
    scale: float
    learning_rate: Positive
