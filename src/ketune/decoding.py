"""Prompts to new tokens: each prompt read once, all rows then decoded together, a finished row leaving at once.

It knows a model's cache of keys and values; it knows neither text nor records. At temperature 0 the most likely token
is taken. In fp32 such a reply does not depend on the rows beside it; in bf16 it may.

Shapes: n rows, T positions with padding on the left, V tokens of the vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers.cache_utils import Cache, DynamicCache

from ketune import language_model


@dataclass
class _Rows:
    """Rows that have been read: what the model keeps of them, which positions are no padding, and what comes next."""

    cache: Cache
    mask: Tensor  # (n, T), T with a trained prefix where there is one
    logits: Tensor  # (n, V)


def decode(
    model: nn.Module, prompts: Sequence[Sequence[int]], *, padding: int, end: int, new_tokens: int, temperature: float
) -> list[list[int]]:
    """The new token ids of every prompt, at most `new_tokens`, up to and including `end`.

    Prompts of like length should follow one another: each is padded to the longest of its neighbours only.
    """
    parts = language_model.together([len(prompt) for prompt in prompts], language_model.READ_TOGETHER)
    rows = _joined([_read(model, prompts[part], padding) for part in parts])
    base = model.get_base_model() if isinstance(model, PeftModel) else model  # a trained prefix is in the cache by now
    replies: list[list[int]] = [[] for _ in prompts]
    open_replies = replies
    for step in range(new_tokens):
        tokens = _choose(rows.logits, temperature)
        for reply, token in zip(open_replies, tokens.tolist(), strict=True):
            reply.append(token)
        going_on = (tokens != end).nonzero().flatten()
        if step + 1 == new_tokens or not len(going_on):
            break
        if len(going_on) < len(tokens):
            open_replies = [open_replies[i] for i in going_on.tolist()]
            rows.cache.batch_select_indices(going_on)
            rows.mask, tokens = rows.mask[going_on], tokens[going_on]
        rows.mask = nn.functional.pad(rows.mask, (0, 1), value=1)
        rows = _forward(base, tokens.unsqueeze(1), rows.mask, rows.mask.sum(1, keepdim=True) - 1, rows.cache)
    return replies


def _read(model: nn.Module, prompts: Sequence[Sequence[int]], padding: int) -> _Rows:
    """The prompts through the whole model, a trained prefix before them."""
    width, device = max(map(len, prompts)), next(model.parameters()).device
    ids = torch.tensor([[padding] * (width - len(p)) + list(p) for p in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=device)
    return _forward(model, ids, mask, (mask.cumsum(1) - 1).clamp_min(0), DynamicCache())


def _forward(model: nn.Module, ids: Tensor, mask: Tensor, positions: Tensor, cache: Cache) -> _Rows:
    found = model(
        input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True,
        logits_to_keep=1,
    )  # fmt: skip
    prefix = found.past_key_values.get_seq_length() - mask.shape[1]
    return _Rows(found.past_key_values, nn.functional.pad(mask, (prefix, 0), value=1), found.logits[:, -1])


def _joined(parts: list[_Rows]) -> _Rows:
    """All rows in one cache, padded on the left to the longest."""
    if len(parts) == 1:
        return parts[0]
    width = max(part.mask.shape[1] for part in parts)
    cache = DynamicCache()
    for number, layers in enumerate(zip(*(part.cache.layers for part in parts), strict=True)):
        keys, values = ([getattr(layer, name) for layer in layers] for name in ("keys", "values"))
        cache.update(_stacked(keys, width), _stacked(values, width), number)
    mask = torch.cat([nn.functional.pad(part.mask, (width - part.mask.shape[1], 0)) for part in parts])
    return _Rows(cache, mask, torch.cat([part.logits for part in parts]))


def _stacked(tensors: list[Tensor], width: int) -> Tensor:
    """(n, heads, T, d) of several lengths T, padded on the left to `width`."""
    return torch.cat([nn.functional.pad(tensor, (0, 0, width - tensor.shape[2], 0)) for tensor in tensors])


def _choose(logits: Tensor, temperature: float) -> Tensor:
    """The next token of each row: the most likely one at temperature 0, else one drawn from all of them."""
    if temperature == 0:
        return logits.argmax(1)
    return torch.multinomial((logits.float() / temperature).softmax(1), 1).flatten()
