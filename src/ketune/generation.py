"""Answers of a model to prompts.

It knows a tokenizer and records; it does not know how the model was tuned nor what an answer is worth. Decoding is
greedy at temperature 0. In fp32 a greedy answer does not depend on the batch it was decoded in; in bf16 it does.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from ketune import language_model
from ketune.decoding import decode
from ketune.ground.params import Generate
from ketune.records.examples import Example
from ketune.records.predictions import Answer
from ketune.tokens import prompt_ids


@torch.inference_mode()
def answers(
    model: nn.Module, tokenizer: Any, examples: Sequence[Example], settings: Generate, max_prompt_tokens: int
) -> list[Answer]:
    """One answer to each example's prompt, in the order given; a longer prompt loses its oldest tokens.

    Raises:
        InputError: the model has too few positions for a trained prefix, a prompt and its answer.
    """
    prompts = prompt_ids(tokenizer, examples, max_prompt_tokens)
    longest = max(map(len, prompts)) + settings.max_new_tokens
    language_model.require_positions(model, longest, "generate.max_new_tokens")
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), i))
    found: dict[int, Answer] = {}
    with tqdm(total=len(prompts), unit="answer", mininterval=2.0) as bar:
        lengths = [len(prompts[i]) + settings.max_new_tokens for i in order]
        for part in language_model.together(lengths, settings.batch_tokens):
            chosen = order[part]
            replies = decode(
                model,
                [prompts[i] for i in chosen],
                padding=tokenizer.pad_token_id,
                end=tokenizer.eos_token_id,
                new_tokens=settings.max_new_tokens,
                temperature=settings.temperature,
            )
            for i, reply in zip(chosen, replies, strict=True):
                found[i] = _answer(examples[i], reply, tokenizer)
            bar.update(len(chosen))
    return [found[i] for i in range(len(prompts))]


def _answer(example: Example, reply: list[int], tokenizer: Any) -> Answer:
    return Answer(
        id=example.id,
        instruction=example.instruction,
        input=example.input,
        reference=example.output,
        prediction=tokenizer.decode(reply, skip_special_tokens=True).strip(),
        new_tokens=len(reply),
        finished=bool(reply) and reply[-1] == tokenizer.eos_token_id,
    )
