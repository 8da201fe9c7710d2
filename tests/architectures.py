"""Two-block language models with random weights, one for each architecture that the adapters know."""

import copy
from functools import lru_cache

import torch
import transformers as t

_SAME = {"vocab_size": 64, "max_position_embeddings": 64, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
_LLAMA = _SAME | {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
                  "num_key_value_heads": 2}  # fmt: skip
_NEO = {"hidden_size": 24, "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]]}
_GPT2 = {"n_embd": 24, "n_layer": 2, "n_head": 4, "resid_pdrop": 0.0, "attn_pdrop": 0.0, "embd_pdrop": 0.0}
_NEOX = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4}
_OPT = {"hidden_size": 24, "ffn_dim": 40, "num_hidden_layers": 2, "num_attention_heads": 4, "word_embed_proj_dim": 24,
        "dropout": 0.0}  # fmt: skip
_EXPERTS = {"num_experts_per_tok": 1}
_GPTJ = {"n_embd": 24, "n_layer": 2, "n_head": 4, "rotary_dim": 2}
_MPT = {"d_model": 24, "n_layers": 2, "n_heads": 4, "expansion_ratio": 2, "max_seq_len": 64, "vocab_size": 64}
_ONE_HEAD = _LLAMA | {"num_attention_heads": 1, "num_key_value_heads": 1}  # a part of it is rotated, in pairs
_HIDDEN = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4}

CONFIGS = {
    "llama": t.LlamaConfig(**_LLAMA),
    "mistral": t.MistralConfig(**_LLAMA),
    "qwen2": t.Qwen2Config(**_LLAMA),
    "gpt2": t.GPT2Config(**_SAME | _GPT2),
    "gpt_neo": t.GPTNeoConfig(**_SAME | _NEO),
    "qwen3": t.Qwen3Config(**_LLAMA, head_dim=6),
    "gemma": t.GemmaConfig(**_LLAMA, head_dim=6),
    "gemma2": t.Gemma2Config(**_LLAMA, head_dim=6),
    "gemma3_text": t.Gemma3TextConfig(**_LLAMA, head_dim=6),
    "gpt_neox": t.GPTNeoXConfig(**_SAME | _NEOX),
    "opt": t.OPTConfig(**_SAME | _OPT),
    "bloom": t.BloomConfig(**_SAME, hidden_size=24, n_layer=2, n_head=4),
    "falcon": t.FalconConfig(**_SAME | _HIDDEN),
    "gpt_bigcode": t.GPTBigCodeConfig(**_SAME | _GPT2),
    "gptj": t.GPTJConfig(**_SAME | _GPTJ, resid_pdrop=0.0),
    "granite": t.GraniteConfig(**_LLAMA),
    "mixtral": t.MixtralConfig(**_LLAMA | _EXPERTS, num_local_experts=2),
    "mpt": t.MptConfig(**_MPT),
    "olmo2": t.Olmo2Config(**_LLAMA),
    "phi": t.PhiConfig(**_ONE_HEAD),
    "phi3": t.Phi3Config(**_LLAMA),
    "qwen2_moe": t.Qwen2MoeConfig(
        **_LLAMA | _EXPERTS, num_experts=2, moe_intermediate_size=16, shared_expert_intermediate_size=16
    ),
    "smollm3": t.SmolLM3Config(**_LLAMA),
    "stablelm": t.StableLmConfig(**_ONE_HEAD),
}
THREE = ("llama", "gpt2", "gpt_neo")  # linear maps, Conv1D, and maps without bias beside others


@lru_cache
def _model(name: str) -> t.PreTrainedModel:
    with torch.random.fork_rng():  # what a test draws must not depend on whether the model was made before
        torch.manual_seed(0)
        return t.AutoModelForCausalLM.from_config(CONFIGS[name]).eval()


def model(name: str) -> t.PreTrainedModel:
    """A fresh copy of the model of that architecture, the same weights each time."""
    return copy.deepcopy(_model(name))


def logits(model: torch.nn.Module) -> torch.Tensor:
    """(3, 7, 64) of the model in evaluation mode on `ids`."""
    with torch.no_grad():
        return model.eval()(input_ids=ids()).logits


def ids() -> torch.Tensor:
    """(3, 7) token ids."""
    return torch.randint(3, 64, (3, 7), generator=torch.Generator().manual_seed(0))
