"""Trained weights on disk: saved and restored in the same way for every method.

A folder holds `method.json` (which method, with which values) and, as the case may be, a PEFT adapter, a whole model,
or nothing (the untuned base). All weights are safetensors.
"""

import json
from pathlib import Path
from typing import Any

from peft import AutoPeftModelForCausalLM, PeftConfig, PeftModel, PeftType
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import nn
from transformers import PreTrainedModel

from ketune import tuners
from ketune.ground import files
from ketune.ground.errors import InputError

WHOLE = "model.safetensors"
PEFT = "adapter_config.json"


def save(model: nn.Module, folder: Path, name: str, section: dict[str, Any]) -> None:
    """Write what was trained into `folder`, whole or not at all; equal weights are equal bytes."""
    with files.replacing(folder) as scratch:
        scratch.mkdir()
        if isinstance(model, PeftModel):
            for config in model.peft_config.values():
                _order(config)
            model.save_pretrained(scratch)
        elif any(p.requires_grad for p in model.parameters()):
            save_model(model, str(scratch / WHOLE))
        files.write_json(scratch / "method.json", {"method": name, "values": section})


def _order(config: PeftConfig) -> None:
    """Sort the sets of a configuration, which peft would write in hash order."""
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
    tuners.register_all()
    pickles = [file.name for kind in ("*.bin", "*.pt", "*.pth", "*.pkl") for file in folder.glob(kind)]
    if pickles:
        raise InputError(f"{folder}: {pickles[0]} is a pickle, which can run code; only safetensors are loaded.")
    try:
        if (folder / PEFT).is_file():
            model = PeftModel.from_pretrained(model, str(folder))
        elif (folder / WHOLE).is_file():
            model = model.float()
            load_model(model, str(folder / WHOLE))
    except (SafetensorError, RuntimeError, KeyError) as error:
        raise InputError(f"{folder}: its weights cannot be loaded ({' '.join(str(error).split())[:200]}).") from error
    return model.eval()


def load(folder: str | Path, base: PreTrainedModel | None = None) -> PeftModel:
    """A trained PEFT adapter, ketune's own kinds included, on its base model.

    Args:
        folder: what `save_pretrained` or the pipeline wrote.
        base: the base model; by default the one that the adapter names, from the hub or a folder.

    Raises:
        InputError: no adapter there, or of a kind that neither PEFT nor ketune knows.
    """
    folder = Path(folder)
    if not (folder / PEFT).is_file():
        raise InputError(f"{folder}: no {PEFT}; give a folder that save_pretrained wrote.")
    kind = json.loads((folder / PEFT).read_text(encoding="utf-8"))["peft_type"]
    tuners.register_all()
    if kind not in PeftType.__members__:
        raise InputError(f"{folder}: adapters of kind {kind!r} are known neither to peft nor to ketune.")
    if base is None:
        return AutoPeftModelForCausalLM.from_pretrained(str(folder)).eval()
    return PeftModel.from_pretrained(base, str(folder)).eval()
