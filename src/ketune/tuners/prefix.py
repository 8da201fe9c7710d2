"""Prefix tuning: trained keys and values that stand before the text in every attention block. peft's own, no MLP.

Source: Li and Liang, arXiv:2101.00190; the row of arXiv:2509.16244 is 30 virtual tokens. A random start disturbs every
attention block at once and costs hundreds of steps to repair, so the start may be the keys and values that the frozen
model itself computes for a given text; that costs no parameters and starts where the model reads that text first.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from peft import PrefixTuningConfig, get_peft_model
from peft.tuners.cartridge.utils import initialize_kv_prefix_from_past_key_values
from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedModel

from ketune.ground.checks import Count
from ketune.ground.errors import InputError
from ketune.tokens import encode
from ketune.tuners.adapter import Adapter
from ketune.tuners.sites import Backbone


@dataclass(frozen=True, kw_only=True)
class Prefix(Adapter):
    """Prefix tuning.

    `text` is repeated or cut to `virtual_tokens` tokens; it is read only where `initialisation` is "from_text".
    """

    virtual_tokens: Count = 30
    initialisation: Literal["random", "from_text"] = "from_text"
    text: str = "Write a response that appropriately completes the request."

    def attach(self, model: PreTrainedModel) -> nn.Module:
        """The model with a prefix."""
        config = PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=self.virtual_tokens)
        if self.initialisation == "random":
            return get_peft_model(model, config)
        with torch.no_grad():
            cache = model(input_ids=self._tokens(model), use_cache=True).past_key_values
        adapted = get_peft_model(model, config)
        past = [(layer.keys, layer.values) for layer in cache.layers]
        initialize_kv_prefix_from_past_key_values(adapted, past_key_values=past)
        return adapted

    def expected_parameters(self, backbone: Backbone) -> int:
        """One key and one value per virtual token and block."""
        return self.virtual_tokens * backbone.layers * 2 * backbone.key_value_width

    def _tokens(self, model: PreTrainedModel) -> Tensor:
        """(1, virtual_tokens) token ids of the text, by the tokenizer that lies beside the model's weights."""
        where = model.config.name_or_path
        try:
            ids = encode(AutoTokenizer.from_pretrained(where), self.text)
        except (OSError, ValueError) as error:
            raise InputError(
                f"prefix.initialisation: 'from_text' needs the tokenizer of the model, and {where!r} has none; "
                "load the model from a folder that holds its tokenizer, or choose 'random'."
            ) from error
        return torch.tensor([(ids * self.virtual_tokens)[: self.virtual_tokens]], device=model.device)


ADAPTER = Prefix
