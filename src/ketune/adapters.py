"""Trained weights on disk: saved and restored in the same way for every method.

A folder holds `method.json` (which method, with which values) and, as the case may be, a PEFT adapter, a whole model,
or nothing (the untuned base). All weights are safetensors. What is loaded fits to the last tensor or is refused; no
pickle is read, such as those a Trainer leaves beside the weights, and no code that comes with a model is run.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import Any, cast

import peft
import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from peft import PeftConfig, PeftModel, PeftType, get_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import AuxiliaryTrainingWrapper
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model, save_model
from torch import nn
from transformers import PreTrainedModel

from ketune.ground import faults, files
from ketune.ground.errors import InputError
from ketune.tuners import model_card
from ketune.tuners.tuner import AdapterConfig

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
        InputError: no such folder, weights that are damaged or in another format than safetensors, or another model's.
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
    return model.eval()


def load(
    source: str | Path,
    base: PreTrainedModel | None = None,
    *,
    revision: str | None = None,
    dtype: str | torch.dtype = "auto",
    is_trainable: bool = False,
) -> PeftModel:
    """A trained PEFT adapter, ketune's own kinds included, on its base model.

    Args:
        source: a folder that `save_pretrained` or the pipeline wrote, or the name of a repository on the hub.
        base: the base model; by default the one that the adapter names, from the hub or a folder, of the class that the
            adapter's task type asks for.
        revision: of the repository on the hub.
        dtype: of the base model that is loaded; "auto" is that of its weights.
        is_trainable: True to train the adapter further, False for inference.

    Raises:
        InputError: no adapter there; one of a kind that neither PEFT nor ketune knows; a malformed configuration;
            weights that are missing, damaged, a pickle, or of other names or shapes than configuration and model ask
            for; a base model that cannot be found or that comes with code of its own. A `base` without adapters is
            then as it was.
    """
    if not isinstance(base, nn.Module | None):
        raise InputError(
            f"base: {base!r} is no model; give one that from_pretrained returned, or leave base out to get the one "
            "that the adapter names."
        )
    folder = Path(source) if Path(source).is_dir() else _download(str(source), revision)
    _refuse_pickles(folder, WEIGHTS)
    config = _config(folder)
    if base is None and not config.base_model_name_or_path:
        raise InputError(f"{folder}: the adapter names no base model; give the model that it was trained on as base=.")
    with _unchanged_by_errors(base):
        with _one_sentence(folder):
            if base is None:
                model = AUTO[config.task_type].from_pretrained(
                    str(folder), dtype=dtype, is_trainable=is_trainable, trust_remote_code=False
                )
            else:
                model = PeftModel.from_pretrained(base, str(folder), is_trainable=is_trainable)
        _compare(folder, model)
    return model.train() if is_trainable else model.eval()


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
def _unchanged_by_errors(base: nn.Module | None) -> Iterator[None]:
    """A model without adapters as it was, where the block fails: peft puts them in before it reads the weights."""
    if base is None or hasattr(base, "peft_config"):
        yield
        return
    trained = [(weight, weight.requires_grad) for weight in base.parameters()]
    modes = [(module, module.training) for module in base.modules()]
    try:
        yield
    except BaseException:
        for name, module in list(base.named_modules()):
            if isinstance(module, BaseTunerLayer):
                base.set_submodule(name, cast(Any, module).base_layer)
            elif isinstance(module, AuxiliaryTrainingWrapper):
                base.set_submodule(name, module.original_module)
        for weight, requires_grad in trained:
            weight.requires_grad_(requires_grad)
        for module, training in modes:
            module.training = training
        vars(base).pop("peft_config", None)
        raise


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


def _compare(folder: Path, model: PeftModel) -> None:
    """Names in the file against names in the model; peft itself passes over those that only one of them has."""
    with safe_open(folder / WEIGHTS, framework="pt") as file:
        given = set(file.keys())
    wanted = set(get_peft_model_state_dict(model, save_embedding_layers=False))
    saved_along = {
        key for key in given - wanted if "embed" in key or "lm_head" in key
    }  # of a model whose vocabulary grew
    for what, names in (("lacks", wanted - given), ("has, for this model, unknown", given - wanted - saved_along)):
        if names:
            raise InputError(
                f"{folder}: {WEIGHTS} {what} {len(names)} tensors ({min(names)}); it belongs to another configuration "
                "or model."
            )
