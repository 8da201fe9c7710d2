"""Trainers of others: TRL's, transformers' own, accelerate's loop, with checkpointing and compilation."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sharded
import torch
from accelerate import Accelerator
from datasets import Dataset
from kinds import ADAPTERS, config
from peft import AutoPeftModelForCausalLM, PeftModel, get_peft_model
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Trainer, TrainingArguments
from trl import SFTConfig, SFTTrainer

import architectures
import ketune
from architectures import logits
from ketune import ProximalStep

every_adapter = pytest.mark.parametrize("name", ADAPTERS)
COMMON = {"max_steps": 4, "learning_rate": 0.05, "per_device_train_batch_size": 2, "report_to": [], "use_cpu": True,
          "save_strategy": "no", "disable_tqdm": True, "bf16": False}  # fmt: skip


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A saved base model."""
    architectures.model("llama").save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def rows() -> Dataset:
    ids = [(torch.arange(12) * step % 60 + 3).tolist() for step in range(1, 9)]
    return Dataset.from_dict({"input_ids": ids, "labels": ids})


def tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(models.WordLevel({"<end>": 0, "<unknown>": 1, "one": 2, "two": 3, "three": 4}, "<unknown>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<end>", pad_token="<end>", unk_token="<unknown>")


def check(trained: PeftModel, base: Path, folder: Path) -> None:
    """It moved, and two ways of loading give its logits."""
    tuned = logits(trained)
    assert not torch.allclose(tuned, logits(architectures.model("llama")), atol=1e-4)
    trained.save_pretrained(folder)
    again = PeftModel.from_pretrained(architectures.model("llama"), folder)
    assert torch.equal(logits(again), tuned)
    assert torch.equal(logits(ketune.load(folder, architectures.model("llama"))), tuned)
    trained.peft_config["default"].base_model_name_or_path = str(base)
    trained.save_pretrained(folder)
    assert torch.equal(logits(AutoPeftModelForCausalLM.from_pretrained(folder)), tuned)


@every_adapter
def test_TRL_SFTTrainer_with_peft_config(name: str, base: Path, tmp_path: Path) -> None:
    texts = Dataset.from_dict({"text": ["one two three one", "two three one two", "three one two three"] * 4})
    trainer = SFTTrainer(
        model=architectures.model("llama"), args=SFTConfig(str(tmp_path / "out"), max_length=16, **COMMON),
        train_dataset=texts, processing_class=tokenizer(), peft_config=config(name),
        callbacks=[ProximalStep()] if name == "SoRA" else [],
    )  # fmt: skip
    trainer.train()
    if name == "SoRA":
        assert sum(int((a.gate != 0).sum()) for a in trainer.model.base_model.gated().values()) == 8
    check(trainer.model, base, tmp_path / "adapter")


@pytest.mark.parametrize("checkpointing", [False, True], ids=["", "gradient checkpointing"])
@every_adapter
def test_transformers_Trainer(name: str, checkpointing: bool, base: Path, tmp_path: Path) -> None:
    model = get_peft_model(architectures.model("llama"), config(name))
    arguments = TrainingArguments(str(tmp_path / "out"), gradient_checkpointing=checkpointing, **COMMON)
    callbacks = [ProximalStep()] if name == "SoRA" else []
    Trainer(model=model, args=arguments, train_dataset=rows(), callbacks=callbacks).train()
    check(model, base, tmp_path / "adapter")


@every_adapter
def test_loop_with_accelerate(name: str, base: Path, tmp_path: Path) -> None:
    accelerator = Accelerator(cpu=True)
    model = get_peft_model(architectures.model("llama"), config(name))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.05)
    model, optimizer = accelerator.prepare(model, optimizer)
    for _ in range(4):
        accelerator.backward(model(input_ids=architectures.ids(), labels=architectures.ids()).loss)
        optimizer.step()
        optimizer.zero_grad()
    check(accelerator.unwrap_model(model), base, tmp_path / "adapter")


@pytest.mark.parametrize("kind", ["fsdp1", "fsdp2"])
def test_weights_sharded_over_two_processes(kind: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", sharded.__file__]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    subprocess.run([*command, kind, str(tmp_path)], check=True, env=environment)
    for name in ADAPTERS:
        alone = sharded.fresh(name)
        sharded.train(alone)
        again = PeftModel.from_pretrained(architectures.model("llama"), tmp_path / name)
        assert torch.allclose(logits(again), logits(alone), atol=1e-6), name
        assert not torch.allclose(logits(again), logits(architectures.model("llama")), atol=1e-6), name


@every_adapter
def test_torch_compile_whole_graph(name: str) -> None:
    adapted = config(name)
    adapted.init_weights = False
    model = get_peft_model(architectures.model("llama"), adapted).eval()
    compiled: Callable = torch.compile(model, fullgraph=True, backend="aot_eager")
    loss = compiled(input_ids=architectures.ids(), labels=architectures.ids()).loss
    assert torch.allclose(loss, model(input_ids=architectures.ids(), labels=architectures.ids()).loss, atol=1e-5)
    loss.backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    longer = torch.cat([architectures.ids(), architectures.ids()], 1)
    assert torch.allclose(compiled(input_ids=longer).logits, model(input_ids=longer).logits, atol=1e-5)
