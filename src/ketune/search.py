"""The learning rate of a method, found with the same budget for every method: as many points of a
grid around the value in `params.yaml`, as many steps, one seed, and the loss on validation records.

It knows the contract of a method and never a method's name. It reads no test record.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ketune import generation, language_model
from ketune.ground.errors import InputError
from ketune.ground.params import Search, Train
from ketune.methods import ConfiguredMethod
from ketune.tokens import Tokens
from ketune.training import loop


def grid(centre: float, search: Search) -> list[float]:
    """`points` learning rates around `centre`, each `ratio` times the one before, rounded to two digits."""
    return [float(f"{centre * search.ratio ** (i - search.points // 2):.2g}") for i in range(search.points)]


def validation_losses(
    method: ConfiguredMethod,
    base: Callable[[], nn.Module],
    rows: dict[str, Sequence[Tokens]],
    settings: Train,
    search: Search,
    *,
    padding: int,
    folder: Path,
) -> list[dict[str, Any]]:
    """For each learning rate of the grid, the loss on `rows["validation"]` after training on `rows["train"]`.

    A run that diverges has the loss None. `base` gives a fresh frozen model.
    """
    found = []
    budget = dataclasses.replace(settings, steps=search.steps, checkpoint_every=search.steps)
    first = next(iter(method.learning_rates.values()))
    for learning_rate in grid(first, search):  # a method's other rates keep their ratio to the first
        language_model.fix_randomness(search.seed)
        rates = {name: rate * (learning_rate / first) for name, rate in method.learning_rates.items()}
        tried = dataclasses.replace(method, learning_rates=rates)
        model = tried.attach(base())
        try:
            loop.train(tried, model, rows["train"], budget, seed=search.seed, padding=padding, folder=folder)
            loss = validation_loss(model, rows["validation"], settings, padding)
        except InputError:  # the only one that training raises: it diverged
            loss = None
        found.append({"learning_rate": learning_rate, "validation_loss": loss})
        print(
            f"learning rate {learning_rate:g}: validation loss {loss if loss is None else round(loss, 4)}", flush=True
        )
    return found


def validation_loss(model: nn.Module, rows: Sequence[Tokens], settings: Train, padding: int) -> float | None:
    """Mean negative log-likelihood per token, in nats, at the precision of training; None where it is not finite."""
    device = next(model.parameters()).device.type
    with torch.autocast(device, torch.bfloat16, enabled=settings.precision == "bf16"):
        values = generation.likelihoods(model.eval(), rows, padding, settings.batch_size)
    loss = sum(v.negative_log_likelihood for v in values) / sum(v.tokens for v in values)
    return loss if math.isfinite(loss) else None


def outcome(found: list[dict[str, Any]], untrained: float, search: Search) -> dict[str, Any]:
    """The whole search as the report reads it: every point, the best one, and whether it lies at the grid's edge.

    A point that is no better than the untrained model does not count: where all are, the best is None.
    """
    learned = [p for p in found if p["validation_loss"] is not None and p["validation_loss"] < untrained]
    best = min(learned, key=lambda point: point["validation_loss"])["learning_rate"] if learned else None
    edges = (found[0]["learning_rate"], found[-1]["learning_rate"])
    return {
        "points": found, "best": best, "at_edge": best in edges, "untrained": untrained, "steps": search.steps,
        "seed": search.seed,
    }  # fmt: skip
