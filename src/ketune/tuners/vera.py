"""VeRA on the query and value maps: W0 x + b ∘ B (d ∘ A x) with A and B fixed, random and shared by all maps.

The vectors b and d are trained. peft's own tuner. Source: Kopiczko et al., arXiv:2310.11454, Eq. 2.
"""

from dataclasses import dataclass

import torch
from peft import VeraConfig, get_peft_model
from torch import nn
from transformers import PreTrainedModel

from ketune.ground.checks import Count, Positive
from ketune.tuners.adapter import Adapter
from ketune.tuners.sites import Backbone, query_value


@dataclass(frozen=True, kw_only=True)
class VeRA(Adapter):
    """Vector-based random matrix adaptation; `d_initial` is where d starts."""

    r: Count = 256
    d_initial: Positive = 0.1

    def attach(self, model: PreTrainedModel) -> nn.Module:
        """The model with adapters on its query and value maps."""
        key = int(torch.randint(2**31, ()))  # peft would draw A and B from a seed of its own, the same in every run
        config = VeraConfig(
            task_type="CAUSAL_LM", r=self.r, d_initial=self.d_initial, projection_prng_key=key, **query_value(model)
        )
        return get_peft_model(model, config)

    def expected_parameters(self, backbone: Backbone) -> int:
        """r + o for each map."""
        return sum(self.r + o for _, o in backbone.sites("query_value"))


ADAPTER = VeRA
