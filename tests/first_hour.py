"""An engineer's first hour: a small model adapted with QAA in a Trainer, saved, and loaded by another process.

    python tests/first_hour.py FOLDER

It needs ketune's core alone, no hub, and a minute; FOLDER is filled.
"""

import subprocess
import sys
import time
from pathlib import Path

import torch
from peft import get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, Trainer, TrainingArguments

from ketune import QAAConfig

WIDTH, LENGTH, RECORDS = 64, 16, 64
ELSEWHERE = """
import sys, torch, ketune
folder = sys.argv[1]
model = ketune.load(f"{folder}/adapter")
ids, expected = torch.load(f"{folder}/expected.pt")
with torch.no_grad():
    assert torch.equal(model(input_ids=ids).logits, expected)
"""


class Counting(torch.utils.data.Dataset):
    """Records that count upwards from a random number."""

    def __len__(self) -> int:
        return RECORDS

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        ids = (torch.arange(LENGTH) + 7 * index) % 50
        return {"input_ids": ids, "labels": ids}


def main(folder: Path) -> None:
    """Train, save, load elsewhere; print sizes and seconds."""
    torch.manual_seed(0)
    sizes = {"hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4}
    AutoModelForCausalLM.from_config(LlamaConfig(vocab_size=50, **sizes)).save_pretrained(folder / "base")

    model = AutoModelForCausalLM.from_pretrained(folder / "base")
    model = get_peft_model(model, QAAConfig(task_type="CAUSAL_LM"))
    arguments = TrainingArguments(str(folder / "checkpoints"), max_steps=10, learning_rate=0.02, logging_steps=5,
                                  report_to=[], save_strategy="no", use_cpu=True, disable_tqdm=True)  # fmt: skip
    start = time.perf_counter()
    trainer = Trainer(model=model, args=arguments, train_dataset=Counting())
    trainer.train()
    seconds = time.perf_counter() - start
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses[-1] < losses[0], losses

    model.eval().save_pretrained(folder / "adapter")
    ids = torch.arange(10)[None]
    with torch.no_grad():
        torch.save((ids, model(input_ids=ids).logits), folder / "expected.pt")
    subprocess.run([sys.executable, "-c", ELSEWHERE, str(folder)], check=True)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    size = (folder / "adapter/adapter_model.safetensors").stat().st_size
    print(f"{trained:,} of {model.num_parameters():,} weights trained in {seconds:.1f} s, {size:,} bytes saved, "
          "equal logits where they are loaded")  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))
