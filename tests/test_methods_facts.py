"""What methods without a circuit of their own are: facts that their implementation must reproduce."""

import shutil
from pathlib import Path

import pytest
import torch
from tokenizers import processors
from transformers import AutoModelForCausalLM

import architectures
from architectures import ids
from conftest import byte_tokenizer
from ketune.ground.errors import InputError
from ketune.methods import load
from ketune.tokens import encode


@pytest.mark.parametrize("begins", [False, True], ids=["plain", "with a token that begins every text"])
@pytest.mark.parametrize("written", ["Be brief.", "Be <end>."])
def test_prefix_from_text_reads_like_the_text_before(
    begins: bool, written: str, tiny_folder: Path, tmp_path: Path
) -> None:
    section = {
        "virtual_tokens": 12,
        "initialisation": "from_text",
        "text": written,
        "learning_rates": {"weights": 0.01},
    }
    folder, tokenizer = shutil.copytree(tiny_folder, tmp_path / "model"), byte_tokenizer()
    if begins:
        beginning = processors.TemplateProcessing(single="<end> $A", special_tokens=[("<end>", 256)])
        tokenizer.backend_tokenizer.post_processor = beginning
    tokenizer.save_pretrained(folder)
    base = AutoModelForCausalLM.from_pretrained(folder)
    adapted = load("prefix", section).adapter.attach(AutoModelForCausalLM.from_pretrained(folder)).eval()
    text = (encode(byte_tokenizer(), written) * 2)[:12]
    assert len(text) == 12 and 256 not in text
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
