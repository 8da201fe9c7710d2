"""SoRA's proximal step in any Trainer of transformers.

It is imported only when it is asked for: transformers imports peft, and with it the tuners, before its callbacks.
"""

from typing import Any

from transformers import TrainerCallback

from ketune.ground.errors import InputError


class ProximalStep(TrainerCallback):
    """SoRA's proximal step after each optimiser step of a transformers Trainer, whose model is a PeftModel.

    Example:
        >>> Trainer(model=get_peft_model(model, SoRAConfig()), callbacks=[ProximalStep()], …)
    """

    def __init__(self, adapter_name: str = "default") -> None:
        self.adapter_name = adapter_name

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **context: Any) -> None:
        """The optimiser has stepped and the schedule has not: the gates' rate is the one just used.

        Raises:
            InputError: the gates have no learning rate, or several.
        """
        tuner: Any = getattr(context["model"], "base_model", None)
        known = tuner.peft_config if hasattr(tuner, "gated") else {}
        if self.adapter_name not in known:
            raise InputError(
                f"ProximalStep: {self.adapter_name!r} is no SoRA adapter of this model, whose SoRA adapters are "
                f"{', '.join(known) or 'none'}; name one, or attach it by peft.get_peft_model."
            )
        gates = {id(adapter.gate) for adapter in tuner.gated(self.adapter_name).values()}
        groups = context["optimizer"].param_groups
        rates = {group["lr"] for group in groups if gates & {id(parameter) for parameter in group["params"]}}
        if len(rates) != 1:
            raise InputError(
                f"sora: the gates have {len(rates)} learning rates in the optimiser, and the proximal step takes one; "
                "give all gates one group of parameters."
            )
        tuner.proximal_step(state.global_step + 1, state.max_steps, rates.pop(), self.adapter_name)
