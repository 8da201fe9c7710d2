"""What zeroes SoRA's gates: a soft threshold, a number of ranks to keep, and a callback for any Trainer.

It knows vectors of gates, and no adapter.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback


def soft_threshold(values: Tensor, threshold: float) -> Tensor:
    """sign(v) max(|v| - threshold, 0), exactly 0 for |v| up to the threshold."""
    return values.sign() * (values.abs() - threshold).clamp_min(0)


def largest(values: Tensor, count: int, threshold: float) -> Tensor:
    """The `count` values of largest size, soft-thresholded by so little that none of them dies; 0 elsewhere."""
    size, order = values.abs().sort(descending=True, stable=True)
    survivors = soft_threshold(values, min(threshold, float(size[count - 1]) / 2))
    return torch.zeros_like(values).index_copy_(0, order[:count], survivors[order[:count]])


class ProximalStep(TrainerCallback):
    """SoRA's proximal step after each optimiser step of a transformers Trainer, whose model is a PeftModel.

    Example:
        >>> Trainer(model=get_peft_model(model, SoRAConfig()), callbacks=[ProximalStep()], …)
    """

    def __init__(self, adapter_name: str = "default") -> None:
        self.adapter_name = adapter_name

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **context: Any) -> None:
        """The optimiser has stepped and the schedule has not: the gates' rate is the one just used."""
        tuner = context["model"].base_model
        gates = {id(adapter.gate) for adapter in tuner.gated(self.adapter_name).values()}
        groups = context["optimizer"].param_groups
        [rate] = {group["lr"] for group in groups if gates & {id(parameter) for parameter in group["params"]}}
        tuner.proximal_step(state.global_step + 1, state.max_steps, rate, self.adapter_name)
