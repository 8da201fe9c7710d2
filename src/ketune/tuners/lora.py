"""LoRA on the query and value maps, W0 x + (alpha / r) B A x; with a trained magnitude for each output it is DoRA.

peft's own tuner. Source: Hu et al., arXiv:2106.09685, Eq. 3; DoRA, W = m (W0 + B A) / ‖W0 + B A‖, is Liu et al.,
arXiv:2402.09353, Eq. 5.
"""

from dataclasses import dataclass
from typing import cast

from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import PreTrainedModel

from ketune.ground.checks import Count, Positive
from ketune.tuners.adapter import Adapter, Dropout
from ketune.tuners.sites import Backbone, query_value


@dataclass(frozen=True, kw_only=True)
class LoRA(Adapter):
    """Low-rank adaptation; `use_dora` decomposes the weight into magnitude and direction."""

    r: Count = 4
    alpha: Positive = 8.0
    dropout: Dropout = 0.0
    use_dora: bool = False

    def attach(self, model: PreTrainedModel) -> nn.Module:
        """The model with adapters on its query and value maps."""
        config = LoraConfig(
            task_type="CAUSAL_LM", r=self.r, lora_alpha=cast(int, self.alpha),  # peft divides by r
             lora_dropout=self.dropout, use_dora=self.use_dora,
            **query_value(model),
        )  # fmt: skip
        return get_peft_model(model, config)

    def expected_parameters(self, backbone: Backbone) -> int:
        """r (i + o) for each map, and o magnitudes."""
        return sum(self.r * (i + o) + o * self.use_dora for i, o in backbone.sites("query_value"))


ADAPTER = LoRA
