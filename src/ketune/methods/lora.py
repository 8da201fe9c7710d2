"""lora: low-rank adaptation of the query and value maps, W0 x + (alpha / r) B A x. peft's own tuner.

Source: Hu et al., arXiv:2106.09685; the row of arXiv:2509.16244 is r = 4 on query and value.
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
class LoRA(Method):
    """Low-rank adaptation."""

    title = "LoRA"
    family = "classical"
    source = "arXiv:2106.09685, Eq. 3"

    r: Count
    alpha: Positive
    dropout: Dropout
    learning_rate: Positive

    def attach(self, model: PreTrainedModel) -> nn.Module:
        """The model with adapters on its query and value maps."""
        sites, own = query_value(model), {"lora_alpha": self.alpha, "lora_dropout": self.dropout}
        return get_peft_model(model, configure(LoraConfig, self, **own, **sites))

    def expected_parameters(self, backbone: Backbone) -> int:
        """r (i + o) for each map."""
        return sum(self.r * (i + o) for i, o in backbone.sites(*suffixes("query_value")))
