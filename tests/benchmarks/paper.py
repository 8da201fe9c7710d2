"""`make paper` from end to end without the hub: `python -m tests.benchmarks.paper` writes reports/benchmarks/paper.md.

In a clone of the last commit: GPT-Neo in the exact sizes of the 125M model with random weights, so that every shape and
count is the paper's; the tokenizer of the packaged model, and the project's own instructions in place of Alpaca. Steps,
trials and answers are few, everything else is what `make paper` asks for. Losses mean nothing here: what is shown is
that all stages run, and that the counts are the paper's (SoRA's is before it prunes).
"""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import torch
from transformers import GPTNeoConfig, GPTNeoForCausalLM

from ketune.published import BACKBONE_PARAMETERS, ROWS

from . import measure

PAGE = measure.ROOT / "reports/benchmarks/paper.md"
MODEL, DATA = "data/gpt_neo", "data/starter.jsonl"
INSTEAD = {
    "language_model.name": MODEL, "language_model.revision": "null", "data.hub": "null", "data.revision": "null",
    "data.source": DATA, "score.bert_model": "minilm", "seeds": "[0]", "train.steps": 4,
    "train.warmup_steps": 1, "tune.trials": 2, "tune.refined": 0, "tune.confirmed": 2, "tune.validation_records": 4,
    "generate.prompts": 2, "generate.likelihood_records": 4, "generate.max_new_tokens": 8,
}  # fmt: skip


def backbone(folder: Path, tokenizer: Path) -> None:
    """GPT-Neo-125M's architecture with random weights, and a tokenizer whose numbers it has places for."""
    torch.manual_seed(0)
    config = GPTNeoConfig(
        vocab_size=50257, hidden_size=768, num_layers=12, num_heads=12, attention_types=[[["global", "local"], 6]],
        max_position_embeddings=2048, window_size=256,
    )  # fmt: skip
    model = GPTNeoForCausalLM(config)
    if model.num_parameters() != BACKBONE_PARAMETERS:
        sys.exit(f"the model has {model.num_parameters():,} parameters, the paper's {BACKBONE_PARAMETERS:,}.")
    model.save_pretrained(folder)
    for file in (*tokenizer.glob("tokenizer*"), *tokenizer.glob("*.jinja")):
        shutil.copy(file, folder)


def run(*command: str, project: Path) -> None:
    """A command in the clone, in this environment; its output goes to the terminal."""
    subprocess.run(command, cwd=project, env=measure.ENVIRONMENT, check=True)


def markdown(project: Path, seconds: float) -> str:
    """A row for each method."""
    lines = ["| method | trainable parameters | in the paper | steps | held-out loss |", "|---|---|---|---|---|"]
    for method in ("base", *ROWS):
        cost = json.loads((project / f"data/costs/{method}-0.json").read_text())
        curve = (project / f"data/curves/{method}-0.csv").read_text().splitlines()[1:]
        loss = json.loads((project / f"data/scores/{method}-0.json").read_text())["metrics"]["loss"]["score"]
        published = f"{ROWS[method].parameters:,}" if method in ROWS else "–"
        trainable = cost["parameters"]["trainable"]
        lines.append(f"| {method} | {trainable:,} | {published} | {len(curve)} | {loss:.3f} |")
    instead = ", ".join(f"{key} {value}" for key, value in INSTEAD.items())
    stamp = measure.stamp("dvc", "torch", "transformers", "peft")
    return "\n\n".join([
        "# The paper's setting, without the hub",
        f"{stamp}. `make paper` with random weights in the exact sizes of GPT-Neo-125M ({BACKBONE_PARAMETERS:,} "
        f"parameters), all stages from preparing to the report in {seconds / 60:.0f} minutes. "
        "Written by `python -m tests.benchmarks.paper`.",
        f"In place of what `make paper` gives: {instead}. Losses mean nothing with random weights (the logarithm of "
        "the vocabulary is 10.8); SoRA's count is before pruning.",
        "\n".join(lines),
    ]) + "\n"  # fmt: skip


def main() -> None:
    """Run it in a clone, and write the page."""
    with measure.clone() as project:
        run("dvc", "repro", "--single-item", "prepare", project=project)
        backbone(project / MODEL, project / "data/model")
        start = time.perf_counter()
        given = " ".join(f"-S '{key}={value}'" for key, value in INSTEAD.items())
        run("make", "--old-file=.venv/.ready", "paper", f"ARGS={given}", project=project)
        page = markdown(project, time.perf_counter() - start)
    PAGE.write_text(page)
    print(page)


if __name__ == "__main__":
    main()
