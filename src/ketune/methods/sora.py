"""sora: LoRA whose ranks carry gates; the gates that a proximal step zeroes take their ranks with them.

Source: Ding et al., EMNLP 2023, arXiv:2311.11696; the tuner and its departures are in `ketune.tuners.gated`.
"""

from dataclasses import dataclass
from typing import Any, Literal, cast

from torch import nn

from ketune.ground.checks import Count, NonNegative, Positive
from ketune.methods import AdapterMethod
from ketune.tuners.gated import PartOfRun, SoRAConfig
from ketune.tuners.tuner import Dropout


@dataclass(frozen=True, kw_only=True)
class SoRA(AdapterMethod):
    """Sparse low-rank adaptation."""

    title = "SoRA"
    family = "classical"
    source = "arXiv:2311.11696"
    adapter = SoRAConfig

    r: Count
    alpha: Positive
    dropout: Dropout
    gate_init: Literal["normal", "ones"]
    sparsity: NonNegative
    sparsity_unit: Literal["step", "learning_rate"]
    sparsity_start: PartOfRun
    sparsity_end: PartOfRun
    target_ranks: Positive | None
    learning_rate: Positive

    def after_step(self, model: nn.Module, step: int, steps: int, learning_rate: float) -> None:
        """The proximal step."""
        cast(Any, model).base_model.proximal_step(step, steps, learning_rate)

    def card(self, model: nn.Module) -> dict[str, Any]:
        """Gates, ranks left and the parameters of the pruned adapter."""
        gated = cast(Any, model).base_model.gated()
        ranks = {name: int((adapter.gate != 0).sum()) for name, adapter in gated.items()}
        cost = {name: adapter.A.shape[1] + adapter.B.shape[0] for name, adapter in gated.items()}
        return {
            "gates": sum(len(adapter.gate) for adapter in gated.values()),
            "proximal_steps": max(adapter.proximal_steps for adapter in gated.values()),
            "ranks_left": sum(ranks.values()),
            "ranks": ranks,
            "parameters_after_pruning": sum(rank * cost[name] for name, rank in ranks.items()),
        }
