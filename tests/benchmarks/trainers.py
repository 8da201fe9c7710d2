"""LoRA in ketune's loop beside TRL's SFTTrainer, in tokens a second.

`.venv-integrations/bin/python -m tests.benchmarks.trainers`, after `dvc repro prepare`. Both train LoRA r = 4 on q and
v of the prepared model, on the same records, four at a time, from the same token ids; rounds alternate, and a round is
one whole call of `train`. Tokens are those that are no padding. TRL is taken as it comes but for the batch, the
precision and the device; its gradient checkpointing is on by default, so it runs without it too. The result is
reports/benchmarks/trainers.md.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import TrainerCallback
from trl import SFTConfig, SFTTrainer

from ketune import language_model, methods, tokens
from ketune.ground import files, layout
from ketune.ground.params import Train
from ketune.records.examples import Example
from ketune.training import loop

from . import measure

PAGE = Path(__file__).parents[2] / "reports/benchmarks/trainers.md"
BATCH, LENGTH, PACKAGES = 4, 192, ("torch", "transformers", "peft", "trl")
SECTION = {"r": 4, "alpha": 8.0, "dropout": 0.0, "learning_rates": {"weights": 0.002}}
Round = Callable[[], float]


def ours(rows: Sequence[tokens.Tokens], padding: int, settings: Train) -> Round:
    """ketune's loop, with the attention that the stage `train` would take."""
    attention = language_model.attention_in_training(settings, "cpu")
    model, _ = language_model.load(layout.LANGUAGE_MODEL, settings.precision, "cpu", attention=attention)
    method = methods.load("lora", SECTION)
    attached = method.adapter.attach(model)

    def one() -> float:
        with tempfile.TemporaryDirectory() as folder:
            done = loop.train(method, attached, rows, settings, seed=0, padding=padding, folder=Path(folder))
        return done.cost.tokens_per_second or 0.0

    return one


class Counted(TrainerCallback):
    """Counts the tokens of every batch that a model is given."""

    def __init__(self) -> None:
        self.tokens = 0

    def hook(self, module: torch.nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Called before each forward pass."""
        self.tokens += int(named["attention_mask"].sum())


def theirs(rows: Sequence[tokens.Tokens], tokenizer: Any, settings: Train, *, checkpointing: bool) -> Round:
    """TRL's trainer on the same token ids, the loss on the same positions."""
    model, _ = language_model.load(layout.LANGUAGE_MODEL, settings.precision, "cpu")
    lora = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    attached = get_peft_model(model, lora)
    data = Dataset.from_list([
        {"input_ids": row.ids, "completion_mask": [int(i >= row.response) for i in range(len(row.ids))]}
        for row in rows
    ])  # fmt: skip

    def one() -> float:
        with tempfile.TemporaryDirectory() as folder:
            arguments = SFTConfig(
                output_dir=folder, max_steps=settings.steps, per_device_train_batch_size=settings.batch_size,
                learning_rate=0.002, bf16=settings.precision == "bf16", use_cpu=True, max_length=settings.max_tokens,
                gradient_checkpointing=checkpointing, save_strategy="no", report_to=[], disable_tqdm=True,
                completion_only_loss=True, dataloader_pin_memory=False,
            )  # fmt: skip
            trainer = SFTTrainer(attached, args=arguments, train_dataset=data, processing_class=tokenizer)
            seen = Counted()
            handle = attached.register_forward_pre_hook(seen.hook, with_kwargs=True)
            start = time.perf_counter()
            trainer.train()
            seconds = time.perf_counter() - start
            handle.remove()
        return seen.tokens / seconds

    return one


def main() -> None:
    """Run the rounds and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6, help="of each round")
    parser.add_argument("--precision", choices=["bf16", "fp32"], default="bf16")
    options = parser.parse_args()
    settings = Train(
        steps=options.steps, batch_size=BATCH, accumulation=1, max_tokens=LENGTH, schedule="cosine", warmup_steps=1,
        weight_decay=0.0, gradient_clip=1.0, precision=options.precision, device="cpu", processes=1,
        checkpoint_every=options.steps,
    )  # fmt: skip
    _, tokenizer = language_model.load(layout.LANGUAGE_MODEL, options.precision, "cpu")
    rows = tokens.tokenize(tokenizer, files.read_rows(layout.split("train"), Example), LENGTH)
    candidates = {
        "ketune": ours(rows, tokenizer.pad_token_id, settings),
        "TRL, as it comes": theirs(rows, tokenizer, settings, checkpointing=True),
        "TRL, without gradient checkpointing": theirs(rows, tokenizer, settings, checkpointing=False),
    }
    found: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(options.rounds):
        for name, run in candidates.items():
            found[name].append(run())
    PAGE.write_text(markdown(found, options.precision, options.steps))
    print(PAGE.read_text())


def markdown(found: dict[str, list[float]], precision: str, steps: int) -> str:
    """A row for each trainer."""
    lines = ["| | tokens a second | ketune's over it, median of the rounds |", "|---|---|---|"]
    for name, rates in found.items():
        ratio = statistics.median(ours / other for ours, other in zip(found["ketune"], rates, strict=True))
        lines.append(f"| {name} | {statistics.median(rates):.0f} | {ratio:.2f} |")
    rounds, threads = len(found["ketune"]), torch.get_num_threads()
    return "\n\n".join([
        "# A training step of LoRA in ketune's loop and in TRL's",
        f"{measure.stamp(*PACKAGES, threads=threads)}; {precision}, {rounds} rounds of {steps} steps. "
        "Written by `python -m tests.benchmarks.trainers`, which says what was equal.",
        "\n".join(lines),
    ]) + "\n"  # fmt: skip


if __name__ == "__main__":
    main()
