"""The records of a run: their order, and how they make batches. It does not know what is trained on them."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from transformers.trainer_pt_utils import get_length_grouped_indices

from ketune import language_model
from ketune.tokens import Tokens


class ByLength(torch.utils.data.Sampler):
    """An order of the records for each epoch, like lengths together, from the seed and the epoch alone.

    So every method sees the same order, a resumed run finds its place, and the order does not depend on how many
    processes share a step.
    """

    def __init__(self, lengths: list[int], records_a_step: int, seed: int) -> None:
        self.lengths = lengths
        self.records_a_step = records_a_step
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the data loader."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        return iter(get_length_grouped_indices(self.lengths, self.records_a_step, generator=generator))


class Rows(torch.utils.data.Dataset):
    """Tokenized records as the Trainer's sampler wants them: mappings with "input_ids"."""

    def __init__(self, rows: Sequence[Tokens]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"input_ids": self.rows[index].ids, "row": self.rows[index]}


class Collator:
    """Pads a batch and keeps the records' ids, for messages."""

    def __init__(self, padding: int) -> None:
        self.padding = padding

    def __call__(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        rows = [item["row"] for item in items]
        return {**language_model.batch(rows, self.padding), "ids": [row.id for row in rows]}
