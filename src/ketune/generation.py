"""Answers of a model to prompts, and the likelihood it gives to texts.

It knows a model and a tokenizer; it does not know how the model was tuned nor what an answer is worth. Decoding is
greedy at temperature 0. In fp32 a greedy answer does not depend on the batch it was decoded in; in bf16 it does.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import nn
from tqdm import tqdm

from ketune import language_model
from ketune.ground.params import Generate
from ketune.records import Answer, Example, Likelihood
from ketune.tokens import Tokens, encode, prompt


@torch.inference_mode()
def answers(
    model: nn.Module, tokenizer: Any, examples: Sequence[Example], settings: Generate, max_prompt_tokens: int
) -> list[Answer]:
    """One answer to each example's prompt, in the order given; a longer prompt loses its oldest tokens."""
    prompts = [encode(tokenizer, prompt(example))[-max_prompt_tokens:] for example in examples]
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), i))
    found: dict[int, Answer] = {}
    with tqdm(total=len(prompts), unit="answer", mininterval=2.0) as bar:
        for start in range(0, len(order), settings.batch_size):
            chosen = order[start : start + settings.batch_size]
            replies = _decode(model, tokenizer, [prompts[i] for i in chosen], settings)
            for i, reply in zip(chosen, replies, strict=True):
                found[i] = _answer(examples[i], reply, tokenizer)
            bar.update(len(chosen))
    return [found[i] for i in range(len(prompts))]


def _decode(model: nn.Module, tokenizer: Any, prompts: list[list[int]], settings: Generate) -> list[list[int]]:
    """New token ids for a left-padded batch, the padding after each end-of-text cut off."""
    width = max(map(len, prompts))
    device = next(model.parameters()).device
    ids = torch.tensor([[tokenizer.pad_token_id] * (width - len(p)) + p for p in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=device)
    sampling = (
        {"do_sample": True, "temperature": settings.temperature} if settings.temperature else {"do_sample": False}
    )
    output = cast(Any, model).generate(
        input_ids=ids,
        attention_mask=mask,
        max_new_tokens=settings.max_new_tokens,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        **sampling,
    )
    return [_until_end(row, tokenizer.eos_token_id) for row in output[:, width:].tolist()]


def _until_end(ids: list[int], end: int) -> list[int]:
    return ids[: ids.index(end) + 1] if end in ids else ids


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


@torch.inference_mode()
def likelihoods(model: nn.Module, rows: Sequence[Tokens], padding: int, batch_size: int) -> list[Likelihood]:
    """Summed negative log-likelihood (nats) and number of the labelled tokens of each row, in the order given."""
    device = next(model.parameters()).device
    order = sorted(range(len(rows)), key=lambda i: (len(rows[i].ids), i))
    found: dict[int, Likelihood] = {}
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        inputs = language_model.batch([rows[i] for i in chosen], padding)
        counts = [len(rows[i].ids) - rows[i].response for i in chosen]
        losses = language_model.token_losses(model, {key: value.to(device) for key, value in inputs.items()})
        for i, count, part in zip(chosen, counts, losses.double().split(counts), strict=True):
            found[i] = Likelihood(id=rows[i].id, negative_log_likelihood=float(part.sum()), tokens=count)
    return [found[i] for i in range(len(rows))]
