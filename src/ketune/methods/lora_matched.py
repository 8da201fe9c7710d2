"""lora_matched: h + W_up A h with a trained A: LoRA's map at QAA's sites, with QAA's number of parameters at rank n/2.

Source: this project; the tuner is QAA's, in `ketune.tuners.residual`, and nothing but the feature map differs.
"""

from dataclasses import dataclass

from torch import nn

from ketune.ground.checks import Count, Positive
from ketune.methods import AdapterMethod
from ketune.tuners.registration import register
from ketune.tuners.residual import LinearFeatures, Placement, RankedConfig, ResidualTuner


@dataclass
class LoRAMatchedConfig(RankedConfig):
    """W_up on `rank` trained linear features."""

    kind = "lora_matched"

    def feature_map(self, width: int) -> nn.Module:
        """A trained A (rank, d)."""
        return LinearFeatures(width, self.rank, trained=True)


class LoRAMatchedModel(ResidualTuner):
    """The tuner of lora_matched."""

    prefix = "lora_matched_"


register("lora_matched", LoRAMatchedConfig, LoRAMatchedModel)


@dataclass(frozen=True, kw_only=True)
class LoRAMatched(AdapterMethod):
    """A trained low-rank map of the block's output."""

    title = "LoRA, matched"
    family = "control"
    source = "this project"
    adapter = LoRAMatchedConfig

    rank: Count
    placement: Placement
    scale: float
    learning_rate: Positive
