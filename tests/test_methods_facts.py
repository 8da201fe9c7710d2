"""What methods without a circuit of their own are: facts that their implementation must reproduce."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

import architectures
from architectures import ids
from conftest import byte_tokenizer
from ketune.ground.errors import InputError
from ketune.methods import load


def test_prefix_from_text_reads_like_the_text_before(tiny_folder: Path) -> None:
    section = {
        "virtual_tokens": 12,
        "initialisation": "from_text",
        "text": "Be brief.",
        "learning_rates": {"weights": 0.01},
    }
    base = AutoModelForCausalLM.from_pretrained(tiny_folder)
    adapted = load("prefix", section).adapter.attach(AutoModelForCausalLM.from_pretrained(tiny_folder)).eval()
    text = (byte_tokenizer()("Be brief.")["input_ids"] * 2)[:12]
    assert len(text) == 12
    with torch.no_grad():
        whole = base(input_ids=torch.cat([torch.tensor([text]), ids()[:1]], 1)).logits[:, 12:]
        assert torch.allclose(adapted(input_ids=ids()[:1]).logits, whole, atol=1e-4)


def test_prefix_from_text_without_a_tokenizer_is_refused() -> None:
    section = {"virtual_tokens": 3, "initialisation": "from_text", "text": "x", "learning_rates": {"weights": 0.01}}
    with pytest.raises(InputError, match="needs the tokenizer"):
        load("prefix", section).adapter.attach(architectures.model("llama"))


def test_full_holds_float32_weights() -> None:
    model = load("full", {"learning_rates": {"weights": 1e-5}}).adapter.attach(
        architectures.model("llama").to(torch.bfloat16)
    )
    assert {p.dtype for p in model.parameters()} == {torch.float32} and all(p.requires_grad for p in model.parameters())


def test_base_trains_nothing() -> None:
    assert not any(p.requires_grad for p in load("base", {}).adapter.attach(architectures.model("llama")).parameters())
