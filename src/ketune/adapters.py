"""Trained weights on disk: saved and restored in the same way for every method.

A folder holds `method.json` (which method, with which values) and, as the case may be, a PEFT adapter, a whole model,
or nothing (the untuned base). All weights are safetensors. What is loaded fits to the last tensor or is refused; no
pickle is read, such as those a Trainer leaves beside the weights, and no code that comes with a model is run.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from textwrap import shorten
from typing import Any

import peft
import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from peft import PeftConfig, PeftModel, PeftType, get_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model, save_model
from torch import nn
from transformers import PreTrainedModel

from ketune import methods
from ketune.ground import faults, files
from ketune.ground.errors import InputError
from ketune.tuners import model_card
from ketune.tuners.tuner import AdapterConfig
from ketune.tuners.undoing import unchanged_by_errors

WHOLE = "model.safetensors"
CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
AUTO = {
    "CAUSAL_LM": peft.AutoPeftModelForCausalLM,
    "FEATURE_EXTRACTION": peft.AutoPeftModelForFeatureExtraction,
    "QUESTION_ANS": peft.AutoPeftModelForQuestionAnswering,
    "SEQ_2_SEQ_LM": peft.AutoPeftModelForSeq2SeqLM,
    "SEQ_CLS": peft.AutoPeftModelForSequenceClassification,
    "TOKEN_CLS": peft.AutoPeftModelForTokenClassification,
    None: peft.AutoPeftModel,
}


def save(
    model: nn.Module,
    folder: Path,
    name: str,
    section: dict[str, Any],
    training: Mapping[str, object] | None = None,
) -> None:
    """Write what was trained into `folder`, whole or not at all; equal weights are equal bytes.

    Args:
        model: that was trained.
        folder: made anew.
        name: of the method.
        section: the method's values.
        training: what the page beside an adapter says of its training, by name.
    """
    with files.replacing(folder) as scratch:
        scratch.mkdir()
        if isinstance(model, PeftModel):
            for config in model.peft_config.values():
                _sort_sets(config)
            model.save_pretrained(str(scratch))
            config = model.peft_config[model.active_adapter]
            use = config.use() if isinstance(config, AdapterConfig) else "An adapter of peft's own."
            model_card.write(scratch, config, use, training)
        elif any(p.requires_grad for p in model.parameters()):
            save_model(model, str(scratch / WHOLE))
        files.write_json(scratch / "method.json", {"method": name, "values": section})


def _sort_sets(config: PeftConfig) -> None:
    """Sort what peft holds in sets and would write in hash order."""
    for name, value in vars(config).items():
        if isinstance(value, set):
            setattr(config, name, sorted(value))


def restore(folder: Path, model: PreTrainedModel) -> nn.Module:
    """The frozen base `model` with the trained weights of `folder`, ready for inference.

    Raises:
        InputError: no such folder, weights that are missing, damaged or in another format than safetensors, or another
            model's.
    """
    if not (folder / "method.json").is_file():
        raise InputError(f"{folder}: no trained run; `dvc repro` makes it.")
    if (folder / CONFIG).is_file():
        return load(folder, model)
    _refuse_pickles(folder, WHOLE)
    if (folder / WHOLE).is_file():
        model = model.float()
        with _one_sentence(folder):
            load_model(model, str(folder / WHOLE))
    elif methods.declared(name := _method(folder)).rates:  # a method that trains nothing has none
        raise InputError(f"{folder}: neither {CONFIG} nor {WHOLE}, but {name} trains weights; `dvc repro` makes them.")
    return model.eval()


def _method(folder: Path) -> str:
    return files.read_json(folder / "method.json", dict[str, Any]).get("method", "")


def load(
    source: str | Path,
    base: PreTrainedModel | None = None,
    *,
    revision: str | None = None,
    dtype: str | torch.dtype = "auto",
    is_trainable: bool = False,
    adapter_name: str = "default",
) -> PeftModel:
    """A trained PEFT adapter, ketune's own kinds included, on its base model.

    Args:
        source: a folder that `save_pretrained` or the pipeline wrote, or the name of a repository on the hub.
        base: the base model, without adapters; by default the one that the adapter names, from the hub or a folder, of
            the class that the adapter's task type asks for.
        revision: of the repository on the hub.
        dtype: of the base model that is loaded; "auto" is that of its weights.
        is_trainable: True to train the adapter further, False for inference.
        adapter_name: what the adapter is called in the model.

    Raises:
        InputError: no adapter there; one of a kind that neither PEFT nor ketune knows; a malformed configuration;
            weights that are missing, damaged, a pickle, or of other names or shapes than configuration and model ask
            for; a base model that cannot be found, comes with code of its own or has adapters; a revision of a folder
            or a dtype of a `base`, which would change nothing. A `base` is then as it was.
    """
    _check_base(base, dtype)
    if revision is not None and Path(source).is_dir():
        raise InputError(f"revision: {revision!r} was given, but {source} is a folder, which has none; leave it out.")
    folder = Path(source) if Path(source).is_dir() else _download(str(source), revision)
    _refuse_pickles(folder, WEIGHTS)
    config = _config(folder)
    if base is None and not config.base_model_name_or_path:
        raise InputError(f"{folder}: the adapter names no base model; give the model that it was trained on as base=.")
    options: dict[str, Any] = {"adapter_name": adapter_name, "is_trainable": is_trainable}
    with unchanged_by_errors(base) if base is not None else nullcontext():
        with _one_sentence(folder):
            if base is None:
                kind = AUTO[config.task_type]
                model = kind.from_pretrained(str(folder), dtype=dtype, trust_remote_code=False, **options)
            else:
                model = PeftModel.from_pretrained(base, str(folder), **options)
        _compare(folder, model, adapter_name)
    return model.train() if is_trainable else model.eval()


def _check_base(base: Any, dtype: Any) -> None:
    if not isinstance(base, nn.Module | None):
        raise InputError(
            f"base: {base!r} is no model; give one that from_pretrained returned, or leave base out to get the one "
            "that the adapter names."
        )
    if base is not None and any(isinstance(module, PeftModel | BaseTunerLayer) for module in base.modules()):
        raise InputError(
            "base: it has adapters already; add another with base.load_adapter(folder, name), or give base.unload(), "
            "the model without them."
        )
    if base is not None and dtype != "auto":
        raise InputError(f"dtype: {dtype} was given, but base is loaded already; leave it out, or call base.to(dtype).")
    found = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if dtype != "auto" and not (isinstance(found, torch.dtype) and found.is_floating_point):
        raise InputError(f"dtype: {dtype!r} is no type of weights; give 'auto', or one such as torch.bfloat16.")


def _download(name: str, revision: str | None) -> Path:
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=["*.json", "*.safetensors", "*.model"]))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        if faults.refused(error):
            raise
        raise InputError(f"{name}: neither a folder nor an adapter that the hub gives ({_short(error)}).") from error


def _refuse_pickles(folder: Path, weights: str) -> None:
    """Refuse weights that lie there as a pickle and not as `weights`; other pickles are a Trainer's and not read."""
    pickles = [file.name for kind in ("adapter_model.bin", "pytorch_model*.bin") for file in sorted(folder.glob(kind))]
    if pickles and not (folder / weights).is_file():
        raise InputError(f"{folder}: {pickles[0]} is a pickle, which can run code; only safetensors are loaded.")


def _config(folder: Path) -> PeftConfig:
    path = folder / CONFIG
    if not path.is_file():
        named = sorted(file.parent.name for file in folder.glob(f"*/{CONFIG}"))
        if named:
            listed = ", ".join(named)
            raise InputError(
                f"{folder}: it holds the adapters {listed}; give one of them, such as {folder / named[0]}."
            )
        raise InputError(f"{folder}: no {CONFIG}; give a folder that save_pretrained wrote.")
    try:
        kind = json.loads(path.read_text(encoding="utf-8"))["peft_type"]
        if kind not in list(PeftType):
            raise InputError(f"{folder}: adapters of kind {kind!r} are known neither to peft nor to ketune.")
        config = PeftConfig.from_pretrained(str(folder))
        if config.task_type not in AUTO:
            raise ValueError(f"task_type {config.task_type!r}")
    except InputError as error:
        raise InputError(f"{path}: {str(error).removeprefix(f'{folder}: ')}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"{path}: no configuration of an adapter ({_short(error)}); save the adapter again."
        ) from error
    if not (folder / WEIGHTS).is_file():
        raise InputError(f"{folder}: no {WEIGHTS} beside {CONFIG}; save the adapter again.")
    return config


@contextmanager
def _one_sentence(folder: Path) -> Iterator[None]:
    """Whatever the libraries raise over weights or a base model that do not fit, as one sentence."""
    try:
        yield
    except (SafetensorError, RuntimeError, KeyError, OSError, TypeError, ValueError) as error:
        if faults.refused(error):
            raise
        raise InputError(f"{folder}: cannot be loaded on this model ({_short(error)}).") from error


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {shorten(str(error), 200, placeholder=' ...')}"


def _compare(folder: Path, model: PeftModel, adapter_name: str) -> None:
    """Names in the file against names in the model; peft itself passes over those that only one of them has."""
    with safe_open(folder / WEIGHTS, framework="pt") as file:
        given = set(file.keys())
    wanted = set(get_peft_model_state_dict(model, adapter_name=adapter_name, save_embedding_layers=False))
    saved_along = {
        key for key in given - wanted if "embed" in key or "lm_head" in key
    }  # of a model whose vocabulary grew
    for what, names in (("lacks", wanted - given), ("has, for this model, unknown", given - wanted - saved_along)):
        if names:
            raise InputError(
                f"{folder}: {WEIGHTS} {what} {len(names)} tensors ({min(names)}); it belongs to another configuration "
                "or model."
            )
