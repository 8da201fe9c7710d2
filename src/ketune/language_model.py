"""The language model: from its folder to a frozen module; batches, devices, determinism.

It knows transformers. It does not know where the folder came from nor what the model is tuned for.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedModel

from ketune.ground.errors import InputError
from ketune.ground.params import Generate, Train
from ketune.tokens import Tokens

IGNORED = -100  # torch's own index for positions without a loss
READ_TOGETHER = 1024  # tokens, with padding, that one pass without gradients reads: more make no product faster
EAGER_UP_TO = 192  # tokens, for `attention_in_training`
Attention = Literal["eager", "sdpa"]
DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the progress bars of weight loading."""
    transformers.utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers.utils.logging.enable_progress_bar()


@quiet()
def load(folder: Path, precision: str, device: str, *, attention: Attention = "sdpa") -> tuple[PreTrainedModel, Any]:
    """The prepared model in the precision's dtype on the device, every weight frozen, dropout off, and its tokenizer.

    What the folder says about decoding (beams, penalties) and about the attention's implementation, which may be code
    from a hub, is not followed.

    Args:
        attention: how attention is computed; where an architecture has no "sdpa", "eager" is taken.

    Raises:
        InputError: the folder holds no prepared model.
    """
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder}: no prepared model; run `dvc repro prepare`.")
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=DTYPES[precision], use_safetensors=True, attn_implementation="eager"
    )
    if attention == "sdpa" and model._supports_sdpa:  # every architecture has "eager", most have both
        model.set_attn_implementation("sdpa")
    model.generation_config = GenerationConfig()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model.requires_grad_(False)
    return model.to(device).eval(), tokenizer  # type: ignore[arg-type]  # its wrapper hides self


def attention_in_training(settings: Train, device: str) -> Attention:
    """The faster of two exact forms of attention, forward and backward, by what was measured.

    In bf16 on a CPU a LoRA step on SmolLM2-135M takes with "eager" 0.8 times as long as with torch's fused "sdpa" where
    a batch is 96 or 128 tokens long, as long at 192, and longer from 256 on. In fp32 and on a GPU "sdpa" is faster.
    """
    short = settings.max_tokens <= EAGER_UP_TO
    return "eager" if device == "cpu" and settings.precision == "bf16" and short else "sdpa"


def device(settings: Train | Generate) -> str:
    """The torch device that the settings ask for: `auto` takes a GPU where there is one.

    Raises:
        InputError: the device is not there, or holds no values (`meta`); or training is to choose among several, of
            which transformers' Trainer takes the first whatever it is told.
    """
    name = settings.device
    key = f"{type(settings).__name__.lower()}.device"
    if isinstance(settings, Train) and ":" in name:
        raise InputError(
            f"{key}: {name!r} is not allowed; choose one of auto, cpu, cuda. Which GPU that is says the "
            f"environment: CUDA_VISIBLE_DEVICES={name.partition(':')[2]}."
        )
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and "LOCAL_RANK" in os.environ:  # one GPU for each process that torchrun started
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        torch.zeros(1, device=name).item()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{key}: {name!r} is not available here ({reason}); try auto.") from error
    return name


def require_positions(model: Any, tokens: int, key: str) -> None:
    """Refuse texts for which the model has too few positions, those that a trained prefix takes among them.

    Args:
        model: with its adapter.
        tokens: the most that it is to read at once, without a prefix.
        key: of params.yaml, that asks for them.

    Raises:
        InputError: names the key.
    """
    there = getattr(model.config.get_text_config(), "max_position_embeddings", None)  # None: it needs none
    prefix = getattr(getattr(model, "active_peft_config", None), "num_virtual_tokens", None) or 0
    if there is not None and prefix + tokens > there:
        raise InputError(
            f"{key}: {tokens} tokens behind a prefix of {prefix} are more than the model's {there} positions; lower "
            "it, or the method's virtual_tokens."
        )


def fix_randomness(seed: int) -> None:
    """Seed Python, NumPy and torch; on a GPU also ask torch for deterministic kernels where they exist.

    What runs here is deterministic on a CPU as it is, and torch's deterministic mode would cost it a factor of 1.7.
    """
    transformers.set_seed(seed)
    torch.use_deterministic_algorithms(torch.cuda.is_available(), warn_only=True)


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


def together(lengths: Sequence[int], tokens: int) -> Iterator[slice]:
    """Neighbours that make one batch: as many as `tokens` hold when each is padded to their longest, at least one."""
    start = 0
    for stop in range(1, len(lengths) + 1):
        if stop == len(lengths) or max(lengths[start : stop + 1]) * (stop + 1 - start) > tokens:
            yield slice(start, stop)
            start = stop


def batches(rows: Sequence[Tokens], size: int, padding: int, device: str) -> Iterator[dict[str, Any]]:
    """`rows`, `size` at a time, as the model is called with them where hidden states matter and logits do not."""
    for start in range(0, len(rows), size):
        found = batch(rows[start : start + size], padding)
        yield {"input_ids": found["input_ids"].to(device), "attention_mask": found["attention_mask"].to(device),
               "logits_to_keep": 1, "use_cache": False}  # fmt: skip


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
