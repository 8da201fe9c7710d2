"""A base model as it was, where an adapter cannot be put into it. Knows peft's modules and no file."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import AuxiliaryTrainingWrapper
from torch import nn


@contextmanager
def unchanged_by_errors(base: nn.Module) -> Iterator[None]:
    """A model without adapters as it was, where the block fails: peft puts them in before it reads the weights."""
    trained = [(weight, weight.requires_grad) for weight in base.parameters()]
    modes = [(module, module.training) for module in base.modules()]
    try:
        yield
    except BaseException:
        for name, module in list(base.named_modules()):
            if isinstance(module, BaseTunerLayer):
                base.set_submodule(name, cast(Any, module).base_layer)
            elif isinstance(module, AuxiliaryTrainingWrapper):
                base.set_submodule(name, module.original_module)
        for weight, requires_grad in trained:
            weight.requires_grad_(requires_grad)
        for module, training in modes:
            module.training = training
        vars(base).pop("peft_config", None)
        raise
