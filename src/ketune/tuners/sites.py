"""Where adapters go: which linear maps of which architecture are meant by "attention" or "query_value".

It knows names of modules, and no adapter. Every suffix was checked to hit, and to hit nothing else, on a small model of
its architecture.
"""

from dataclasses import dataclass
from typing import Any

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from ketune.ground.errors import InputError, nearest


@dataclass(frozen=True)
class Sites:
    """The linear maps of one architecture, by name suffix.

    Attributes:
        attention: the last map of the attention block; its output is the output of the block, which Gemma 2 and 3 and
            OLMo 2 normalise before they add it to the residual stream.
        feedforward: the last map of the feed-forward block.
        query_value: the maps that LoRA's paper adapts (one fused map where the architecture fuses them).
        key_value: the maps whose outputs (IA)³ rescales.
    """

    attention: tuple[str, ...]
    feedforward: tuple[str, ...]
    query_value: tuple[str, ...]
    key_value: tuple[str, ...]


_LLAMA = Sites(("o_proj",), ("down_proj",), ("q_proj", "v_proj"), ("k_proj", "v_proj"))
_ROUTED = Sites(("o_proj",), (), ("q_proj", "v_proj"), ("k_proj", "v_proj"))  # experts whose maps are no modules
_FUSED = ("query_key_value",)
SITES: dict[str, Sites] = {
    **dict.fromkeys(("gemma", "gemma2", "gemma3_text", "granite", "llama", "mistral", "olmo2"), _LLAMA),
    **dict.fromkeys(("qwen2", "qwen3", "smollm3", "stablelm"), _LLAMA),
    **dict.fromkeys(("mixtral", "qwen2_moe"), _ROUTED),
    # Two-part suffixes, because a bare "c_proj" or "dense" names maps of both blocks.
    "bloom": Sites(("self_attention.dense",), ("dense_4h_to_h",), _FUSED, _FUSED),
    "falcon": Sites(("self_attention.dense",), ("dense_4h_to_h",), _FUSED, _FUSED),
    **dict.fromkeys(("gpt2", "gpt_bigcode"), Sites(("attn.c_proj",), ("mlp.c_proj",), ("c_attn",), ("c_attn",))),
    "gpt_neo": Sites(("attention.out_proj",), ("mlp.c_proj",), ("q_proj", "v_proj"), ("k_proj", "v_proj")),
    "gpt_neox": Sites(("attention.dense",), ("dense_4h_to_h",), _FUSED, _FUSED),
    "gptj": Sites(("attn.out_proj",), ("mlp.fc_out",), ("q_proj", "v_proj"), ("k_proj", "v_proj")),
    "mpt": Sites(("attn.out_proj",), ("ffn.down_proj",), ("Wqkv",), ("Wqkv",)),
    "opt": Sites(("self_attn.out_proj",), ("fc2",), ("q_proj", "v_proj"), ("k_proj", "v_proj")),
    "phi": Sites(("self_attn.dense",), ("mlp.fc2",), ("q_proj", "v_proj"), ("k_proj", "v_proj")),
    "phi3": Sites(("o_proj",), ("down_proj",), ("qkv_proj",), ("qkv_proj",)),
}


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """Sizes of a language model, for closed forms of parameter counts.

    Attributes:
        parameters: all weights, tied ones counted once.
        layers: number of decoder blocks.
        key_value_width: width of the keys (and of the values) of one block, all heads together.
        linears: (qualified name, inputs, outputs) of every linear map inside the blocks, Conv1D included.
    """

    parameters: int
    layers: int
    key_value_width: int
    linears: tuple[tuple[str, int, int], ...]

    def sites(self, *words: str) -> list[tuple[int, int]]:
        """(inputs, outputs) of each linear map that `words` (field names of `Sites`) mean in any architecture."""
        suffixes = tuple(suffix for sites in SITES.values() for word in words for suffix in getattr(sites, word))
        return [(inputs, outputs) for name, inputs, outputs in self.linears if name.endswith(suffixes)]


def targets(model_type: str, *words: str) -> set[str]:
    """The name suffixes that `words` (field names of `Sites`) mean in the architecture `model_type`.

    Raises:
        InputError: the architecture is not in the table, or has no linear map for one of the words.
    """
    if model_type not in SITES:
        raise InputError(
            f"architecture {model_type!r} is not known; known are {', '.join(sorted(SITES))}."
            f"{nearest(model_type, SITES)} An entry of SITES in src/ketune/tuners/sites.py adds one; in Python you may "
            "also: Please specify `target_modules` in `peft_config`: name suffixes of linear maps, for QAA of those "
            "whose output is the output of a block."
        )
    for word in words:
        if not getattr(SITES[model_type], word):
            raise InputError(
                f"architecture {model_type!r} has no linear map for the site {word!r}, as its experts hold theirs in "
                "one tensor; choose another placement, or specify `target_modules`."
            )
    return {suffix for word in words for suffix in getattr(SITES[model_type], word)}


def transposed(model: nn.Module) -> bool:
    """Whether the linear maps of the model store their weights transposed, which peft calls `fan_in_fan_out`."""
    return any(isinstance(module, Conv1D) for module in model.modules())


def query_value(model: PreTrainedModel) -> dict[str, Any]:
    """What peft's own tuners must be told to adapt the query and value maps."""
    sites = sorted(targets(model.config.model_type, "query_value"))
    return {"target_modules": sites, "fan_in_fan_out": transposed(model)}
