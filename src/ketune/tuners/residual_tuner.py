"""The tuner that puts residual adapters into a model: it wraps the last linear map of each adapted block."""

import warnings
from typing import Any

from peft import PeftConfig
from torch import Tensor, nn

from ketune.tuners.layers import OutputLayer
from ketune.tuners.residual import residual_adapters
from ketune.tuners.sites import SITES
from ketune.tuners.tuner import Tuner

RESIDUAL_DROPOUT = ("resid_pdrop", "resid_dropout", "residual_dropout", "dropout", "dropout_rate", "hidden_dropout",
                    "hidden_dropout_prob")  # fmt: skip
"""What configurations of transformers call the dropout between a block's last map and the residual stream."""


class ResidualTuner(Tuner):
    """Wraps the last linear map of each adapted block; a subclass names its prefix."""

    tuner_layer_cls = OutputLayer

    @classmethod
    def _get_adapter_state_dict(  # type: ignore[override]  # peft passes everything by name
        cls, model: nn.Module, **others: Any
    ) -> dict[str, Tensor]:
        if any(adapter.mean is not None and not adapter.mean.any() for adapter in residual_adapters(model)):
            warnings.warn(
                f"{cls.prefix.removesuffix('_')}: no mean was taken, so features are not centred; call "
                "ketune.measure_features before training, or set centre to 'none'.",
                stacklevel=2,
            )
        return super()._get_adapter_state_dict(model=model, **others)

    def _prepare_model(self, peft_config: PeftConfig, model: nn.Module) -> None:
        config = getattr(model, "config", None)
        dropout = max((getattr(config, name, 0.0) or 0.0) for name in RESIDUAL_DROPOUT)
        if dropout > 0:
            warnings.warn(
                f"residual dropout is {dropout}: in training the adapter reads the block's output before that dropout. "
                "Set it to 0 for an adapter that stands exactly after the block.",
                stacklevel=2,
            )

    def _post_injection_hook(self, model: nn.Module, config: PeftConfig, adapter_name: str) -> None:
        inside = [name for name, module in model.named_modules() if isinstance(module, OutputLayer)
                  and adapter_name in module.adapters and ends_no_block(model, name, module.out_features)]  # fmt: skip
        if inside:
            warnings.warn(
                f"target_modules: {len(inside)} maps, {inside[0]} for instance, end no block, so their adapters act "
                "inside of one; the paper's stands after the attention or the feed-forward block. Leave target_modules "
                "to the default, or name the last maps of blocks.",
                stacklevel=2,
            )


def ends_no_block(model: nn.Module, name: str, outputs: int) -> bool:
    """Whether that map certainly lies inside a block: by the table of sites, else by a width that is not the model's.

    In an architecture that is not in the table a map inside that happens to be of the model's width is not noticed.
    """
    config = getattr(model, "config", None)
    sites = SITES.get(getattr(config, "model_type", ""))
    if sites is not None:
        return not name.endswith(sites.attention + sites.feedforward)
    return getattr(config, "hidden_size", outputs) != outputs
