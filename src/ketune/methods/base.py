"""base: the language model as it is. What tuning adds at all is measured against it."""

from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel

from ketune.methods import Backbone, Method


@dataclass(frozen=True, kw_only=True)
class Base(Method):
    """No tuning: nothing is attached and nothing is trained."""

    title = "Base"
    family = "reference"
    source = "the language model itself"

    def attach(self, model: PreTrainedModel) -> nn.Module:
        """The same model, frozen."""
        return model.requires_grad_(False)

    def expected_parameters(self, backbone: Backbone) -> int:
        """0."""
        return 0
