"""dora: LoRA beside a trained magnitude for each output, W = m (W0 + B A) / ‖W0 + B A‖. peft's own tuner.

Source: Liu et al., arXiv:2402.09353. On the same maps as `lora`.
"""

from dataclasses import dataclass

from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import PreTrainedModel

from ketune.ground.checks import Count, Positive
from ketune.methods import Backbone, Method
from ketune.tuners.sites import query_value, suffixes
from ketune.tuners.tuner import Dropout, configure


@dataclass(frozen=True, kw_only=True)
class DoRA(Method):
    """Weight-decomposed low-rank adaptation."""

    title = "DoRA"
    family = "classical"
    source = "arXiv:2402.09353, Eq. 5"

    r: Count
    alpha: Positive
    dropout: Dropout
    learning_rate: Positive

    def attach(self, model: PreTrainedModel) -> nn.Module:
        """The model with adapters on its query and value maps."""
        sites, own = query_value(model), {"lora_alpha": self.alpha, "lora_dropout": self.dropout}
        return get_peft_model(model, configure(LoraConfig, self, use_dora=True, **own, **sites))

    def expected_parameters(self, backbone: Backbone) -> int:
        """r (i + o) + o for each map."""
        return sum(self.r * (i + o) + o for i, o in backbone.sites(*suffixes("query_value")))
