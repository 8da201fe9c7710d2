"""A model is taken whole or refused in one sentence: its weights, its tokenizer, and what its files ask for."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ketune import weights
from ketune.ground.errors import InputError
from ketune.ground.params import LanguageModel

WEIGHT = "model.layers.0.self_attn.q_proj.weight"
TOKENS = "model.embed_tokens.weight"
Damage = Callable[[Path], object]


def tensors(change: Callable[[dict[str, Tensor]], object]) -> Damage:
    """Damage to the weights."""

    def damage(folder: Path) -> None:
        found = load_file(folder / "model.safetensors")
        change(found)
        save_file(found, folder / "model.safetensors", metadata={"format": "pt"})

    return damage


def values(file: str = "config.json", **changes: object) -> Damage:
    """Other values in a JSON file."""
    return lambda folder: (folder / file).write_text(json.dumps(json.loads((folder / file).read_text()) | changes))


def text(file: str, content: str) -> Damage:
    return lambda folder: (folder / file).write_text(content)


def cut(file: str, length: float) -> Damage:
    """A file of which a part has arrived."""
    return lambda folder: os.truncate(folder / file, int((folder / file).stat().st_size * length))


def smaller(found: dict[str, Tensor]) -> None:
    found[TOKENS] = found[TOKENS][:200].clone()


DAMAGES: dict[str, tuple[Damage, str]] = {
    "a tensor is missing": (tensors(lambda t: t.pop(WEIGHT)), f"1 are missing, such as {WEIGHT}"),
    "a foreign tensor": (tensors(lambda t: t.update({WEIGHT + "x": torch.ones(2)})), "1 are unknown, such as"),
    "another shape": (tensors(lambda t: t.update({WEIGHT: torch.ones(16, 32)})), "1 are of another shape, such as"),
    "not finite": (tensors(lambda t: t[WEIGHT].fill_(float("nan"))), f"{WEIGHT} holds"),
    "another architecture": (values(model_type="gpt2"), "of the weights of a 'gpt2', 29 are missing"),
    "an unknown architecture": (values(model_type="lama"), "does not recognize this architecture"),
    "an impossible configuration": (values(num_attention_heads=5), "not a multiple of the number of attention heads"),
    "a mistyped configuration": (values(hidden_size="many"), "expected int, got str"),
    "half downloaded": (cut("model.safetensors", 0.5), "incomplete metadata"),
    "nothing downloaded": (cut("model.safetensors", 0), "header too small"),
    "half a tokenizer": (cut("tokenizer.json", 0.5), "the tokenizer of"),
    "no tokenizer's content": (text("tokenizer.json", "[1]"), "the tokenizer of"),
    "an unknown kind of tokenizer": (text("tokenizer.json", '{"model": {"type": "BPEE"}}'), "the tokenizer of"),
    "a vocabulary too small": (
        lambda folder: (values(vocab_size=200, pad_token_id=0)(folder), tensors(smaller)(folder)),
        "ids up to 256, its vocabulary 200 rows",
    ),
    "no end-of-text token": (values("tokenizer_config.json", eos_token=None), "no end-of-text token"),
    "quantised": (values(quantization_config={"quant_method": "gptq", "bits": 4}), "its weights are quantised"),
}


def fetched(tiny: Path, tmp_path: Path, damage: Damage) -> Path:
    """The prepared folder of a damaged copy of the tiny model."""
    source = shutil.copytree(tiny, tmp_path / "source")
    damage(source)
    weights.fetch(LanguageModel(name=str(source), revision=None), tmp_path / "prepared")
    return tmp_path / "prepared"


@pytest.mark.parametrize("case", DAMAGES)
def test_a_damaged_model_is_one_sentence(tiny_folder: Path, tmp_path: Path, case: str) -> None:
    damage, words = DAMAGES[case]
    with pytest.raises(InputError, match=r"^language_model\.name: .*cannot be loaded") as error:
        fetched(tiny_folder, tmp_path, damage)
    assert words in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "prepared").exists()


IGNORED: dict[str, Damage] = {
    "nothing": lambda folder: None,
    "decoding that cannot be": text("generation_config.json", '{"max_new_tokens": "many", "num_beams": -3}'),
    "decoding that is no JSON": text("generation_config.json", "{"),
    "an attention from a hub": values(attn_implementation="kernels-community/flash-attn"),
    "the causal masks of old checkpoints": tensors(
        lambda t: t.update({"model.layers.0.attn.attention.masked_bias": torch.tensor(-1e9)})
    ),
}


@pytest.mark.parametrize("case", IGNORED)
def test_what_a_model_asks_for_beside_its_weights_is_left_out(tiny_folder: Path, tmp_path: Path, case: str) -> None:
    prepared = fetched(tiny_folder, tmp_path, IGNORED[case])
    given, kept = load_file(tiny_folder / "model.safetensors"), load_file(prepared / "model.safetensors")
    assert all(torch.equal(given[name], kept[name]) for name in kept) and len(kept) == len(given)
    decoding = json.loads((prepared / "generation_config.json").read_text())
    assert not {"num_beams", "max_new_tokens"} & set(decoding)
    assert "attn_implementation" not in (prepared / "config.json").read_text()


def test_too_little_memory_is_not_called_a_broken_model(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(weights.AutoModelForCausalLM, "from_pretrained", fail)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        fetched(tiny_folder, tmp_path, lambda folder: None)
