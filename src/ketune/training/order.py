"""The records of a run: their order, and how they make batches. It does not know what is trained on them."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from transformers.trainer_pt_utils import get_length_grouped_indices

from ketune import language_model
from ketune.tokens import Tokens


class ByLength(torch.utils.data.Sampler):
    """An order of the records for each epoch, like lengths together, from the seed and the epoch alone.

    So every method sees the same order, a resumed run finds its place, and the order does not depend on how many
    processes share a step. An epoch is whole steps: its last one is filled up with the records that it began with, as
    accelerate would fill it up for several processes alone.
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
        return -(-len(self.lengths) // self.records_a_step) * self.records_a_step

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = get_length_grouped_indices(self.lengths, self.records_a_step, generator=generator)
        return itertools.islice(itertools.cycle(order), len(self))


def collate(rows: Sequence[Tokens], padding: int) -> dict[str, Any]:
    """A padded batch with the records' ids, for messages."""
    return {**language_model.batch(rows, padding), "ids": [row.id for row in rows]}
