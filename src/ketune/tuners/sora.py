"""SoRA: low ranks with gates, W0 x + (alpha / r) B (g ∘ A x); ranks whose gates are zeroed in training are dropped.

After each optimiser step every gate passes the soft threshold T(g) = sign(g) max(|g| - ξ, 0). With `target_ranks` a
schedule says how many die, the smallest first, and ξ is lowered where it would zero another, so that a given number of
ranks is reached exactly, which ξ alone cannot promise. Which of the two zeroed a gate is remembered. At a small ξ, as
in released scripts, gates of size 1 hardly shrink in few steps; a target prunes by what is left of their random start.
For the proximal step to prune, give `sparsity_unit` "run", a `sparsity` of the size of dying gates, and no target.

`prune` drops the dead ranks and folds the gates away: a plain LoRA adapter of variable rank, which peft loads without
ketune. Source: Ding et al., EMNLP 2023, arXiv:2311.11696.
"""

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import torch
from peft import LoraConfig
from peft.utils import ModulesToSaveWrapper
from safetensors.torch import save_file
from torch import Tensor, nn

from ketune.ground.checks import Count, NonNegative, Positive, Range
from ketune.ground.errors import InputError
from ketune.tuners.adapter import Dropout
from ketune.tuners.layers import WeightLayer
from ketune.tuners.proximal import gathered, largest, progress, require_whole, shares, warn_of_haste
from ketune.tuners.registration import register
from ketune.tuners.tuner import AdapterConfig, Tuner

THRESHOLD, TARGET = 1, 2  # what zeroed a gate
PartOfRun = Annotated[float, Range(low=0, high=1)]


@dataclass
class SoRAConfig(AdapterConfig):
    """Sparse low-rank adaptation: LoRA with a gate at each rank, which a proximal step draws to exactly 0.

    Args:
        r: ranks of each map before pruning.
        alpha: the change of the weight is scaled by alpha / r.
        dropout: probability of dropping an input of A in training.
        gate_init: "normal" draws gates from N(0, 1) as the released code does; "ones" starts them at 1.
        sparsity: ξ, by which each proximal step shrinks the gates.
        sparsity_unit: "step" subtracts ξ at each step, "learning_rate" ξ times the gates' learning rate; "run" divides
            ξ among all steps, so that it is what a gate loses in the whole run, whatever the number of steps.
        sparsity_start, sparsity_end: parts of the run between which ξ (or the number of dead ranks) grows to full.
        target_ranks: ranks to keep over all maps: below 1 a share of them, from 1 on their number, None for no target.

    Also what every `AdapterConfig` takes, `target_modules` and the like.
    """

    kind = "sora"

    r: Count = 8
    alpha: Positive = 16.0
    dropout: Dropout = 0.0
    gate_init: Literal["normal", "ones"] = "normal"
    sparsity: NonNegative = 3e-4
    sparsity_unit: Literal["step", "learning_rate", "run"] = "step"
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

    def conversion(self) -> str:
        """Without its dead ranks it is LoRA."""
        return (
            "`model.merge_and_unload()` adds it to the base weights; `model.base_model.save_pruned(folder)` drops the "
            "dead ranks and writes plain LoRA, which peft loads without ketune."
        )

    def part(self, parameter: str) -> str:
        """The gates apart from A and B, as the proximal step acts on them alone."""
        return "gates" if parameter.endswith(".gate") else "weights"

    def callbacks(self) -> list[Any]:
        """The proximal step, at the gates' rate."""
        from ketune.tuners.callback import ProximalStep  # which needs transformers' callbacks, and those peft

        return [ProximalStep()]

    def card(self, model: nn.Module) -> dict[str, Any]:
        """Gates, what zeroed them, ranks left and the parameters of the pruned adapter."""
        gated = cast(Any, model).base_model.gated()
        ranks = {name: int((adapter.gate != 0).sum()) for name, adapter in gated.items()}
        cost = {name: adapter.A.shape[1] + adapter.B.shape[0] for name, adapter in gated.items()}
        return {
            "gates": sum(len(adapter.gate) for adapter in gated.values()),
            "gates_zeroed_by_the_proximal_step": sum(int((a.zeroed_by == THRESHOLD).sum()) for a in gated.values()),
            "gates_zeroed_by_the_target": sum(int((a.zeroed_by == TARGET).sum()) for a in gated.values()),
            "ranks_left": sum(ranks.values()),
            "ranks": ranks,
            "parameters_after_pruning": sum(rank * cost[name] for name, rank in ranks.items()),
        }

    def threshold(self, step: int, steps: int, learning_rate: float) -> float:
        """What step `step` of `steps` subtracts from the size of every gate."""
        share = self.progress(step, steps)
        if self.sparsity_unit == "run":
            return self.sparsity * share / max(1.0, shares(self.sparsity_start, self.sparsity_end, steps))
        return self.sparsity * share * (learning_rate if self.sparsity_unit == "learning_rate" else 1.0)

    def progress(self, step: int, steps: int) -> float:
        """How far the schedule is after `step` of `steps`: 0 before its start, 1 from its end on."""
        return progress(self.sparsity_start, self.sparsity_end, step, steps)

    def ranks_kept(self, total: int, step: int, steps: int) -> int:
        """How many of `total` ranks live after `step` of `steps`, where there is a target."""
        target = self.target_ranks or total
        target = max(1, round(total * target)) if target < 1 else min(total, int(target))
        return total - round(self.progress(step, steps) * (total - target))


class GatedRanks(nn.Module):
    """(alpha / r) B (g ∘ A x); A (r, i), B (o, r), g (r,)."""

    zeroed_by: Tensor

    def __init__(self, inputs: int, outputs: int, config: SoRAConfig) -> None:
        super().__init__()
        self.A = nn.Parameter(torch.empty(config.r, inputs))
        self.B = nn.Parameter(torch.zeros(outputs, config.r))
        self.gate = nn.Parameter(torch.ones(config.r))
        self.dropout = nn.Dropout(config.dropout)
        self.register_buffer("zeroed_by", torch.zeros(config.r, dtype=torch.int8))
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
        config = cast(SoRAConfig, self.peft_config[adapter_name])
        adapters = list(self.gated(adapter_name).values())
        require_whole([(adapter.gate, len(adapter.zeroed_by)) for adapter in adapters])
        before = gathered([adapter.gate for adapter in adapters])
        zeroed_by = gathered([adapter.zeroed_by for adapter in adapters])
        threshold = config.threshold(step, steps, learning_rate)
        after = shrunk = nn.functional.softshrink(before, threshold)
        if config.target_ranks is not None:
            warn_of_haste(config.sparsity_start, config.sparsity_end, step, steps)
            after = largest(before, config.ranks_kept(len(before), step, steps), threshold)
        cause = torch.where(shrunk == 0, THRESHOLD, TARGET).to(torch.int8)
        zeroed_by = torch.where(zeroed_by == 0, cause, zeroed_by).masked_fill(after != 0, 0)  # what came first
        sizes = [len(adapter.gate) for adapter in adapters]
        for adapter, gate, zeroed in zip(adapters, after.split(sizes), zeroed_by.split(sizes), strict=True):
            adapter.gate.copy_(gate)
            adapter.zeroed_by.copy_(zeroed)
            adapter.proximal_steps = step

    @classmethod
    def _get_adapter_state_dict(  # type: ignore[override]  # peft passes everything by name
        cls, model: nn.Module, **others: Any
    ) -> dict[str, Tensor]:
        state = super()._get_adapter_state_dict(model=model, **others)  # gathered; modules may hold a part only
        ups, gates = ([weight for name, weight in state.items() if name.endswith(end)] for end in (".B", ".gate"))
        adapters = [module for module in model.modules() if isinstance(module, GatedRanks)]
        trained = any(adapter.B.requires_grad for adapter in adapters) and any(up.any() for up in ups)
        if trained and all(gate.all() for gate in gates) and not any(adapter.proximal_steps for adapter in adapters):
            text = "sora: no proximal step was taken, so no gate is 0; give the Trainer ketune.ProximalStep()."
            warnings.warn(text, stacklevel=2)
        return state

    def prune(self, adapter_name: str = "default") -> tuple[LoraConfig, dict[str, Tensor]]:
        """The adapter as plain LoRA: its configuration, and its weights under peft's names, dead ranks dropped.

        What was trained whole, `modules_to_save`, comes along.

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
        for name, module in self.model.named_modules():
            if isinstance(module, ModulesToSaveWrapper):
                own_weights = module.adapter_state_dict(adapter_name, module.state_dict())
                weights |= {f"base_model.model.{name}.{key}": w.contiguous() for key, w in own_weights.items()}
        most = max(ranks.values())
        own = cast(SoRAConfig, self.peft_config[adapter_name])
        config = LoraConfig(
            task_type=own.task_type, base_model_name_or_path=own.base_model_name_or_path, target_modules=sorted(ranks),
            r=most, lora_alpha=most, rank_pattern=ranks, alpha_pattern=ranks, inference_mode=True,
            modules_to_save=sorted(own.modules_to_save or []) or None,
        )  # fmt: skip
        return config, weights

    def save_pruned(self, folder: str | Path, adapter_name: str = "default") -> None:
        """Write the pruned adapter as a LoRA adapter that peft loads without ketune."""
        config, weights = self.prune(adapter_name)
        config.target_modules = sorted(config.rank_pattern or {})  # as a set it would be written in hash order
        config.save_pretrained(str(folder))
        save_file(weights, Path(folder) / "adapter_model.safetensors", metadata={"format": "pt"})


ADAPTER = register("sora", SoRAConfig, SoRAModel)
