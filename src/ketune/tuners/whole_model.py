"""No adapter: the language model itself, either as it is or with every weight trained."""

from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel

from ketune.tuners.adapter import Adapter
from ketune.tuners.sites import Backbone


@dataclass(frozen=True, kw_only=True)
class WholeModel(Adapter):
    """All weights or none, as `train` says."""

    train: bool = True

    def attach(self, model: PreTrainedModel) -> nn.Module:
        """The same model; trained weights are float32, as steps of usual size vanish in bfloat16's rounding."""
        return model.float().requires_grad_(True) if self.train else model.requires_grad_(False)

    def expected_parameters(self, backbone: Backbone) -> int:
        """All, tied ones once, or 0."""
        return backbone.parameters if self.train else 0


ADAPTER = WholeModel
