"""Records as prompts, and prompts and texts as tokens with the positions that count in the loss.

It knows Alpaca's prompt and the tokenizer's interface. It does not know where records come from. Where the tokenizer
itself begins a text with a BOS token, as those of Llama, Gemma and Mistral do, so do prompts and neutral texts here.

Source of the prompt: Stanford Alpaca (Taori et al. 2023), its two templates, with and without input.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ketune.ground.errors import InputError
from ketune.records.examples import Example, Passage

HEAD = "Below is an instruction that describes a task"
WITH_INPUT = (
    HEAD + ", paired with an input that provides further context. Write a response that appropriately completes the "
    "request.\n\n### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n"
)
WITHOUT_INPUT = (
    HEAD + ". Write a response that appropriately completes the request.\n\n### Instruction:\n{instruction}\n\n"
    "### Response:\n"
)


def prompt(example: Example) -> str:
    """Alpaca's prompt for a record, up to and including the line before the response."""
    template = WITH_INPUT if example.input else WITHOUT_INPUT
    # One pass over the template: text in a record that looks like a placeholder or a marker stays text.
    return re.sub(r"\{(instruction|input)\}", lambda found: getattr(example, found[1]), template)


@dataclass(frozen=True)
class Tokens:
    """A record as token ids; the loss counts positions from `response` on.

    Attributes:
        id: the record's id.
        ids: prompt (behind a BOS token where the tokenizer adds one), response and end-of-text, T ids in all.
        response: position of the response's first token.
    """

    id: str
    ids: list[int]
    response: int


def too_long(
    tokenizer: Any, examples: Mapping[str, Sequence[Example]], needs: Mapping[str, int], max_tokens: int
) -> dict[str, int]:
    """Split → number of its examples whose prompt leaves no room for a response within `max_tokens`.

    Raises:
        InputError: fewer examples than `needs` says are left in a split.
    """
    found = {}
    for split, members in examples.items():
        lengths = [len(ids) for ids in prompt_ids(tokenizer, members)]
        found[split] = sum(not _has_room(length, max_tokens) for length in lengths)
        if len(members) - found[split] < needs[split]:
            raise InputError(
                f"train.max_tokens: {max_tokens} tokens leave room for a response in {len(members) - found[split]} of "
                f"{len(members)} records of the {split} split, and {needs[split]} are needed; the shortest prompt has "
                f"{min(lengths)} tokens, the longest {max(lengths)}: raise train.max_tokens or give shorter records."
            )
    return found


def _has_room(prompt_tokens: int, max_tokens: int) -> bool:
    """Whether one token of the response and the end-of-text fit behind a prompt."""
    return prompt_tokens + 2 <= max_tokens


def tokenize(tokenizer: Any, examples: Sequence[Example], max_tokens: int) -> list[Tokens]:
    """Records as tokens, loss on the response only; without those whose prompt fills `max_tokens` (see `too_long`).

    Prompt and response are tokenized apart, so that no text in a record can move the border between them, and special
    tokens spelt out in a record stay text. A response that does not fit is cut.
    """
    rows = []
    for example, head in zip(examples, prompt_ids(tokenizer, examples), strict=True):
        if _has_room(len(head), max_tokens):
            ids = head + encode(tokenizer, example.output) + [tokenizer.eos_token_id]
            rows.append(Tokens(id=example.id, ids=ids[:max_tokens], response=len(head)))
    return rows


def prompt_ids(tokenizer: Any, examples: Sequence[Example], at_most: int | None = None) -> list[list[int]]:
    """Token ids of each record's prompt; of one that is longer than `at_most`, its beginning and its newest tokens."""
    first = beginning(tokenizer)
    start = None if at_most is None else len(first) - at_most
    return [first + encode(tokenizer, prompt(example))[start:] for example in examples]


def tokenize_passage(tokenizer: Any, passage: Passage, max_tokens: int) -> Tokens:
    """Neutral text as tokens; every token but the first, which has no context, counts."""
    ids = beginning(tokenizer) + encode(tokenizer, passage.text)
    return Tokens(id=passage.id, ids=ids[:max_tokens], response=1)


def require_scored(tokenizer: Any, passages: Iterable[Passage]) -> None:
    """Refuse a passage that is one token in all: it has none to score.

    Raises:
        InputError: names the passage.
    """
    first = beginning(tokenizer)
    for passage in passages:
        if len(first + encode(tokenizer, passage.text)) < 2:
            raise InputError(
                f"data.retention: the text {passage.text!r} is a single token, and the first of a text is not scored; "
                "give texts of two tokens or more."
            )


def beginning(tokenizer: Any) -> list[int]:
    """The BOS token where the tokenizer itself puts it in front of a text, else nothing."""
    first = tokenizer("a")["input_ids"][:1]
    return first if first == [tokenizer.bos_token_id] != encode(tokenizer, "a")[:1] else []


def encode(tokenizer: Any, text: str) -> list[int]:
    """Token ids of plain text, no special token added nor recognised."""
    return tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
