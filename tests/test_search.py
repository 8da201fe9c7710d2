"""The search for learning rates: its grid, what counts as the best, and a search of a real method."""

import dataclasses
from pathlib import Path

import pytest
import torch

from conftest import byte_tokenizer, records, tiny_params
from ketune import language_model, methods, search, tokens
from ketune.ground.params import Search, Train
from ketune.records import Example

BUDGET = Search(points=3, ratio=4.0, steps=4, seed=1000, validation_records=4)
EXAMPLES = [Example(id=f"{i:02d}", **record) for i, record in enumerate(records(12))]


def points(*losses: float | None) -> list[dict]:
    return [{"learning_rate": rate, "validation_loss": x} for rate, x in zip((0.1, 0.4, 1.6), losses, strict=True)]


def test_the_grid_lies_around_the_centre() -> None:
    assert search.grid(0.004, BUDGET) == [0.001, 0.004, 0.016]


@pytest.mark.parametrize(
    ("losses", "best", "at_edge"),
    [
        ((2.0, 1.5, 1.9), 0.4, False),
        ((1.5, 2.0, None), 0.1, True),
        ((3.5, 3.1, 3.2), None, False),  # every point is worse than the untrained model
        ((None, None, None), None, False),
    ],
)
def test_the_best_is_better_than_no_training(losses: tuple, best: float | None, at_edge: bool) -> None:
    told = search.outcome(points(*losses), 3.0, BUDGET)
    assert (told["best"], told["at_edge"], told["untrained"]) == (best, at_edge, 3.0)


def test_a_search_trains_at_every_point_by_itself(tiny_folder: Path, tmp_path: Path) -> None:
    settings = Train(**tiny_params(tiny_folder, ["lora"], [0])["train"])
    rows = tokens.tokenize(byte_tokenizer(), EXAMPLES, 400)[0]

    def base() -> torch.nn.Module:
        return language_model.load(tiny_folder, "fp32", "cpu")[0]

    untrained = search.validation_loss(base(), rows[8:], settings, 256)
    lora = methods.load("lora", {"r": 2, "alpha": 4.0, "dropout": 0.0, "learning_rates": {"weights": 0.02}})
    wild = dataclasses.replace(BUDGET, points=2, ratio=1e30)  # 2e-32 moves nothing
    still, moved = (
        search.validation_losses(lora, base, {"train": rows[:8], "validation": rows[8:]}, settings, chosen,
                                 padding=256, folder=tmp_path / str(chosen.points))
        for chosen in (wild, BUDGET)
    )  # fmt: skip
    assert still[0]["validation_loss"] == pytest.approx(untrained, rel=1e-6)
    assert still[1]["learning_rate"] == moved[1]["learning_rate"] == 0.02
    assert still[1] == moved[1], "a point does not depend on the points before it"
    assert min(point["validation_loss"] for point in moved) < untrained
