"""lora_matched: h + W_up A h with a trained A: LoRA's map at QAA's sites, with QAA's number of parameters at rank n/2.

Source: this project; the tuner is QAA's, in `ketune.tuners.residual`, and nothing but the feature map differs.
"""

from dataclasses import dataclass

from peft import get_peft_model
from torch import nn
from transformers import PreTrainedModel

from ketune.checks import Count, Positive
from ketune.methods import Backbone, Method
from ketune.tuners.registration import register
from ketune.tuners.residual import LinearFeatures, Placement, RankedConfig, ResidualTuner, block_ends
from ketune.tuners.tuner import configure


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
class LoRAMatched(Method):
    """A trained low-rank map of the block's output."""

    title = "LoRA, matched"
    family = "control"
    source = "this project"

    rank: Count
    placement: Placement
    scale: float
    learning_rate: Positive

    def __post_init__(self) -> None:
        super().__post_init__()
        configure(LoRAMatchedConfig, self)

    def attach(self, model: PreTrainedModel) -> nn.Module:
        """The model with an adapter on each chosen block."""
        return get_peft_model(model, configure(LoRAMatchedConfig, self))

    def expected_parameters(self, backbone: Backbone) -> int:
        """2 rank d for each block."""
        return sum(2 * self.rank * width for _, width in backbone.sites(*block_ends(self.placement)))
