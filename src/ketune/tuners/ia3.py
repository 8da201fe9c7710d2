"""(IA)³: trained vectors that rescale keys, values and the inputs of the last feed-forward map. peft's own tuner.

Source: Liu et al., arXiv:2205.05638, Sec. 3.3.
"""

from dataclasses import dataclass

from peft import IA3Config, get_peft_model
from torch import nn
from transformers import PreTrainedModel

from ketune.tuners.adapter import Adapter
from ketune.tuners.sites import Backbone, targets, transposed


@dataclass(frozen=True, kw_only=True)
class IA3(Adapter):
    """Rescaling of inner activations; nothing to set."""

    def attach(self, model: PreTrainedModel) -> nn.Module:
        """The model with a vector on each key, value and last feed-forward map."""
        kind = model.config.model_type
        config = IA3Config(
            task_type="CAUSAL_LM",
            target_modules=sorted(targets(kind, "key_value", "feedforward")),
            feedforward_modules=sorted(targets(kind, "feedforward")),
            fan_in_fan_out=transposed(model),
        )
        return get_peft_model(model, config)

    def expected_parameters(self, backbone: Backbone) -> int:
        """The outputs of each key and value map, and the inputs of each last feed-forward map."""
        outputs = sum(o for _, o in backbone.sites("key_value"))
        return outputs + sum(i for i, _ in backbone.sites("feedforward"))


ADAPTER = IA3
