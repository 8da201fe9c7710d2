"""Decoding in a batch that shrinks gives what transformers' own `generate` gives for each prompt alone."""

import pytest
import torch
from peft import PrefixTuningConfig, get_peft_model
from torch import nn

import architectures
from ketune import language_model
from ketune.decoding import decode

LENGTHS = (3, 5, 5, 9, 14)
NEW = 8


def prompts() -> list[list[int]]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(3, 64, (length,), generator=generator).tolist() for length in LENGTHS]


def prefixed(name: str) -> nn.Module:
    torch.manual_seed(2)
    adapted = get_peft_model(architectures.model(name), PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4))
    return adapted.eval()


def one_by_one(model: nn.Module, end: int) -> list[list[int]]:
    """What `generate` gives for each prompt alone, up to and including `end`."""
    replies = []
    for prompt in prompts():
        ids = torch.tensor([prompt])
        given = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "max_new_tokens": NEW, "do_sample": False}
        reply = model.generate(**given, pad_token_id=0, eos_token_id=end)[0, len(prompt) :].tolist()
        replies.append(reply[: reply.index(end) + 1] if end in reply else reply)
    return replies


def decoded(model: nn.Module, end: int, **options: float) -> list[list[int]]:
    with torch.inference_mode():
        return decode(model, prompts(), padding=0, end=end, new_tokens=NEW, **{"temperature": 0.0} | options)


@pytest.mark.parametrize("read", [1024, 20])
@pytest.mark.parametrize("name", architectures.CONFIGS)
def test_a_batch_decodes_what_each_prompt_gives_alone(name: str, read: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_model, "READ_TOGETHER", read)  # 20: the prompts are read in three parts
    model = architectures.model(name)
    unbounded = one_by_one(model, end=-1)
    end = unbounded[2][2]
    assert decoded(model, -1) == unbounded
    assert decoded(model, end) == one_by_one(model, end) != unbounded


@pytest.mark.parametrize("read", [1024, 20])
@pytest.mark.parametrize("name", ["llama", "gpt2", "gpt_neo", "qwen3"])
def test_a_trained_prefix_stands_before_every_prompt(name: str, read: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_model, "READ_TOGETHER", read)
    model = prefixed(name)
    assert decoded(model, -1) == one_by_one(model, -1) != decoded(model.get_base_model(), -1)


def test_finished_rows_leave_the_batch() -> None:
    model, rows = architectures.model("llama"), []
    end = one_by_one(model, end=-1)[2][2]
    model.model.layers[0].register_forward_pre_hook(lambda layer, given: rows.append(len(given[0])))
    replies = decoded(model, end)
    assert rows == [sum(len(reply) > step for reply in replies) for step in range(max(map(len, replies)))]


def test_tokens_are_drawn_where_a_temperature_says_so() -> None:
    model = architectures.model("llama")
    drawn = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        drawn.append(decoded(model, -1, temperature=1.0))
    assert drawn[0] == drawn[1] != drawn[2]
    assert decoded(model, -1, temperature=1e-6) == decoded(model, -1)


def test_together_never_exceeds_the_tokens_but_for_a_single_row() -> None:
    lengths = [1, 2, 2, 3, 30, 4, 5]
    parts = list(language_model.together(lengths, 10))
    assert [lengths[part] for part in parts] == [[1, 2, 2], [3], [30], [4, 5]]
    assert list(language_model.together([], 10)) == []
