"""vera: W0 x + b ∘ B (d ∘ A x) with A and B fixed, random and shared by all maps; the vectors b and d are trained.

peft's own tuner. Source: Kopiczko et al., arXiv:2310.11454. On the same maps as `lora`.
"""

from dataclasses import dataclass

import torch
from peft import VeraConfig, get_peft_model
from torch import nn
from transformers import PreTrainedModel

from ketune.ground.checks import Count, Positive
from ketune.methods import Backbone, Method
from ketune.tuners.sites import query_value, suffixes
from ketune.tuners.tuner import configure


@dataclass(frozen=True, kw_only=True)
class VeRA(Method):
    """Vector-based random matrix adaptation; `d_initial` is where d starts."""

    title = "VeRA"
    family = "classical"
    source = "arXiv:2310.11454, Eq. 2"

    r: Count
    d_initial: Positive
    learning_rate: Positive

    def attach(self, model: PreTrainedModel) -> nn.Module:
        """The model with adapters on its query and value maps."""
        key = int(torch.randint(2**31, ()))  # peft would draw A and B from a seed of its own, the same in every run
        return get_peft_model(model, configure(VeraConfig, self, projection_prng_key=key, **query_value(model)))

    def expected_parameters(self, backbone: Backbone) -> int:
        """r + o for each map."""
        return sum(self.r + o for _, o in backbone.sites(*suffixes("query_value")))
