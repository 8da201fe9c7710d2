"""full: every weight is trained. The upper end of what a method with few parameters is compared with."""

from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel

from ketune.ground.checks import Positive
from ketune.methods import Backbone, Method


@dataclass(frozen=True, kw_only=True)
class Full(Method):
    """Full fine-tuning; the weights are held in float32, as steps of usual size vanish in bfloat16's rounding."""

    title = "Full"
    family = "reference"
    source = "row 'Full' of arXiv:2509.16244, Table 1"

    learning_rate: Positive

    def attach(self, model: PreTrainedModel) -> nn.Module:
        """The same model in float32, every weight trained."""
        return model.float().requires_grad_(True)

    def expected_parameters(self, backbone: Backbone) -> int:
        """All of them, tied ones once."""
        return backbone.parameters
