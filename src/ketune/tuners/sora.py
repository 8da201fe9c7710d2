"""SoRA's tuner: low ranks with gates, W0 x + (alpha / r) B (g ∘ A x), and lose the gates that a proximal step zeroes.

After each optimiser step every gate passes the soft threshold T(g) = sign(g) max(|g| - ξ, 0). `prune` then drops the
dead ranks and folds the gates away: a plain LoRA adapter of variable rank, which peft loads without ketune.

Source: Ding et al., EMNLP 2023, arXiv:2311.11696. Departures: the threshold is the textbook one (the released code
shifts in place and so zeroes everything below 2ξ); no L1 term beside it; normalisation layers stay frozen; and with
`target_ranks` the smallest gates are zeroed as well, on a schedule, so that a given number of ranks is reached exactly,
which ξ alone cannot promise. (Choosing ξ itself so large that the right number dies would shrink all others with them.)
"""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import torch
from peft import LoraConfig
from safetensors.torch import save_file
from torch import Tensor, nn

from ketune.ground.checks import Count, NonNegative, Positive, Range
from ketune.ground.errors import InputError
from ketune.tuners.adapter import Dropout
from ketune.tuners.layers import WeightLayer
from ketune.tuners.registration import register
from ketune.tuners.tuner import AdapterConfig, Tuner

PartOfRun = Annotated[float, Range(low=0, high=1)]


@dataclass
class SoRAConfig(AdapterConfig):
    """Sparse low-rank adaptation.

    Args:
        r: ranks of each map before pruning.
        alpha: the change of the weight is scaled by alpha / r.
        dropout: probability of dropping an input of A in training.
        gate_init: "normal" draws gates from N(0, 1) as the paper does; "ones" starts them at 1.
        sparsity: ξ, by which each proximal step shrinks the gates.
        sparsity_unit: "step" subtracts ξ at each step, "learning_rate" ξ times the learning rate.
        sparsity_start, sparsity_end: parts of the run between which ξ (or the number of dead ranks) grows to full.
        target_ranks: ranks to keep over all maps: below 1 a share of them, from 1 on their number, None for no target.
    """

    kind = "sora"

    r: Count = 8
    alpha: Positive = 16.0
    dropout: Dropout = 0.0
    gate_init: Literal["normal", "ones"] = "normal"
    sparsity: NonNegative = 3e-4
    sparsity_unit: Literal["step", "learning_rate"] = "step"
    sparsity_start: PartOfRun = 0.0
    sparsity_end: PartOfRun = 0.0
    target_ranks: Positive | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sparsity_end < self.sparsity_start:
            raise InputError(
                f"sora.sparsity_end: {self.sparsity_end} is out of range; allowed is a part of the run from "
                f"sparsity_start, {self.sparsity_start}, to 1."
            )
        if self.target_ranks is not None and self.target_ranks > 1 and self.target_ranks % 1:
            raise InputError(
                f"sora.target_ranks: {self.target_ranks} is not allowed; give a share below 1 or a whole number."
            )

    def parameters(self, inputs: int, outputs: int) -> int:
        """Before pruning: A, B and r gates."""
        return self.r * (inputs + outputs + 1)

    def adapter(self, inputs: int, outputs: int) -> nn.Module:
        """Gated low-rank change of one map."""
        return GatedRanks(inputs, outputs, self)

    def part(self, parameter: str) -> str:
        """The gates apart from A and B, as the proximal step acts on them alone."""
        return "gates" if parameter.endswith(".gate") else "weights"

    def after_step(self, model: nn.Module, step: int, steps: int, learning_rates: Mapping[str, float]) -> None:
        """The proximal step, at the gates' rate."""
        cast(Any, model).base_model.proximal_step(step, steps, learning_rates["gates"])

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

    def progress(self, step: int, steps: int) -> float:
        """How far the schedule is after `step` of `steps`: 0 before its start, 1 from its end on."""
        start, end = self.sparsity_start * steps, self.sparsity_end * steps
        return min(1.0, max(0.0, (step - start) / (end - start))) if end > start else float(step > start)

    def ranks_kept(self, total: int, step: int, steps: int) -> int:
        """How many of `total` ranks live after `step` of `steps`, where there is a target."""
        target = self.target_ranks or total
        target = max(1, round(total * target)) if target < 1 else min(total, int(target))
        return total - round(self.progress(step, steps) * (total - target))


class GatedRanks(nn.Module):
    """(alpha / r) B (g ∘ A x); A (r, i), B (o, r), g (r,)."""

    def __init__(self, inputs: int, outputs: int, config: SoRAConfig) -> None:
        super().__init__()
        self.A = nn.Parameter(torch.empty(config.r, inputs))
        self.B = nn.Parameter(torch.zeros(outputs, config.r))
        self.gate = nn.Parameter(torch.ones(config.r))
        self.dropout = nn.Dropout(config.dropout)
        self.proximal_steps = 0
        self.scale = config.alpha / config.r
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))
        if config.gate_init == "normal":
            nn.init.normal_(self.gate)
        if not config.init_weights:
            nn.init.kaiming_uniform_(self.B, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, i) → (B, T, o)."""
        a = nn.functional.linear(self.dropout(x), self.A)  # (B, T, r)
        return nn.functional.linear(a * (self.scale * self.gate), self.B)

    def delta(self) -> Tensor:
        """(o, i)."""
        return self.scale * (self.B * self.gate) @ self.A


class SoRAModel(Tuner):
    """The tuner of SoRA, with its proximal step and its pruning."""

    prefix = "sora_"
    tuner_layer_cls = WeightLayer

    def gated(self, adapter_name: str = "default") -> dict[str, GatedRanks]:
        """The adapters called `adapter_name`, by the name of the map that each changes."""
        layers = {name: m for name, m in self.model.named_modules() if isinstance(m, WeightLayer)}
        return {n: cast(GatedRanks, m.adapters[adapter_name]) for n, m in layers.items() if adapter_name in m.adapters}

    @torch.no_grad()
    def proximal_step(self, step: int, steps: int, learning_rate: float, adapter_name: str = "default") -> None:
        """To be called after optimiser step `step` (from 1) of `steps`; without it no gate ever reaches 0."""
        config: SoRAConfig = self.peft_config[adapter_name]
        adapters = list(self.gated(adapter_name).values())
        gates = [adapter.gate for adapter in adapters]
        threshold = config.sparsity * config.progress(step, steps)
        threshold *= learning_rate if config.sparsity_unit == "learning_rate" else 1.0
        flat = torch.cat(gates)
        if config.target_ranks is None:
            flat = soft_threshold(flat, threshold)
        else:
            flat = largest(flat, config.ranks_kept(len(flat), step, steps), threshold)
        for gate, values in zip(gates, flat.split([len(gate) for gate in gates]), strict=True):
            gate.copy_(values)
        for adapter in adapters:
            adapter.proximal_steps = step

    @classmethod
    def _get_adapter_state_dict(cls, model: nn.Module, **others: Any) -> dict[str, Tensor]:
        adapters = [module for module in model.modules() if isinstance(module, GatedRanks)]
        trained = any(adapter.B.requires_grad and adapter.B.detach().any() for adapter in adapters)
        if trained and not any(adapter.proximal_steps for adapter in adapters):
            warnings.warn(
                "sora: no proximal step was taken, so no gate is 0; see SoRAModel.proximal_step.", stacklevel=2
            )
        return super()._get_adapter_state_dict(model=model, **others)

    def prune(self, adapter_name: str = "default") -> tuple[LoraConfig, dict[str, Tensor]]:
        """The adapter as plain LoRA: its configuration, and its weights under peft's names, dead ranks dropped.

        Raises:
            InputError: every gate is 0, so there is nothing left to save.
        """
        ranks, weights = {}, {}
        for name, adapter in self.gated(adapter_name).items():
            alive = adapter.gate.detach() != 0
            if alive.any():
                ranks[name] = int(alive.sum())
                folded = adapter.scale * adapter.B * adapter.gate
                weights[f"base_model.model.{name}.lora_A.weight"] = adapter.A.detach()[alive].contiguous()
                weights[f"base_model.model.{name}.lora_B.weight"] = folded.detach()[:, alive].contiguous()
        if not ranks:
            raise InputError("sora: every gate is 0, so no rank is left; lower sparsity or set target_ranks.")
        most = max(ranks.values())
        own = self.peft_config[adapter_name]
        config = LoraConfig(
            task_type=own.task_type, base_model_name_or_path=own.base_model_name_or_path, target_modules=sorted(ranks),
            r=most, lora_alpha=most, rank_pattern=ranks, alpha_pattern=ranks, inference_mode=True,
        )  # fmt: skip
        return config, weights

    def save_pruned(self, folder: str | Path, adapter_name: str = "default") -> None:
        """Write the pruned adapter as a LoRA adapter that peft loads without ketune."""
        config, weights = self.prune(adapter_name)
        config.target_modules = sorted(config.target_modules)  # as a set it would be written in hash order
        config.save_pretrained(str(folder))
        save_file(weights, Path(folder) / "adapter_model.safetensors", metadata={"format": "pt"})


def soft_threshold(values: Tensor, threshold: float) -> Tensor:
    """sign(v) max(|v| - threshold, 0), exactly 0 for |v| up to the threshold."""
    return values.sign() * (values.abs() - threshold).clamp_min(0)


def largest(values: Tensor, count: int, threshold: float) -> Tensor:
    """The `count` values of largest size, soft-thresholded by so little that none of them dies; 0 elsewhere."""
    size, order = values.abs().sort(descending=True, stable=True)
    survivors = soft_threshold(values, min(threshold, float(size[count - 1]) / 2))
    return torch.zeros_like(values).index_copy_(0, order[:count], survivors[order[:count]])


ADAPTER = register("sora", SoRAConfig, SoRAModel)
