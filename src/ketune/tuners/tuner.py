"""ketune's adapters as PEFT tuners, registered from outside peft.

This module knows peft's side of an adapter: what a configuration is, how it is saved, and how layers are put in. It
knows no method and no mathematics; the layers that hold the adapters are in `ketune.tuners.layers`.
"""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self, cast

from peft import PeftConfig, PeftType, get_peft_model
from peft.tuners.tuners_utils import BaseTuner
from torch import nn
from transformers import PreTrainedModel

from ketune.ground.checks import checked
from ketune.ground.errors import InputError
from ketune.tuners import model_card
from ketune.tuners.adapter import Adapter
from ketune.tuners.layers import AdapterLayer, WeightLayer, cannot_merge
from ketune.tuners.sites import Backbone, targets


@dataclass
class AdapterConfig(Adapter, PeftConfig):
    """What every adapter of ketune can be told about where it goes; subclasses add what it is.

    Args:
        target_modules: name suffixes (or one regular expression) of the linear maps to adapt; by default the query and
            value maps, for QAA and feature maps the last maps of attention blocks, in the architectures of
            `ketune.tuners.sites`.
        exclude_modules: names never to adapt.
        modules_to_save: further modules to train and save whole.
        layers_to_transform: indices of the blocks to adapt, all by default.
        layers_pattern: name of the list of blocks where it is unusual.
        init_weights: True starts at the identity; False draws every weight, which only tests want.
    """

    kind: ClassVar[str]

    target_modules: list[str] | str | None = None
    exclude_modules: list[str] | str | None = None
    modules_to_save: list[str] | None = None
    layers_to_transform: list[int] | int | None = None
    layers_pattern: list[str] | str | None = None
    init_weights: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PeftType[self.kind.upper()]
        for name in ("target_modules", "exclude_modules"):
            if isinstance(getattr(self, name), list):
                setattr(self, name, set(getattr(self, name)))
        if isinstance(self.modules_to_save, str):  # peft would take each of its letters for the end of a name
            raise InputError(
                f"{self.kind}.modules_to_save: {self.modules_to_save!r} is a text; give a list of names, "
                f"[{self.modules_to_save!r}]."
            )
        if self.layers_pattern and self.layers_to_transform is None:
            raise InputError("layers_pattern: given alone; `layers_to_transform` must be specified with it.")
        if isinstance(self.target_modules, str) and self.layers_to_transform is not None:
            raise InputError(
                "layers_to_transform: `layers_to_transform` cannot be used when `target_modules` is a str; name the "
                "blocks in that regular expression, or give a list of suffixes."
            )
        for name, hint in self.settings().items():
            setattr(self, name, checked(getattr(self, name), hint, f"{self.kind}.{name}"))

    @classmethod
    def settings(cls) -> dict[str, Any]:
        """Those of the adapter; where it goes and how peft treats it is no method's choice."""
        common = {field.name for field in fields(AdapterConfig)}
        return {name: hint for name, hint in super().settings().items() if name not in common}

    @classmethod
    def configured(cls, settings: Mapping[str, Any]) -> Self:
        """For a causal language model."""
        return cls(task_type="CAUSAL_LM", **settings)

    def attach(self, model: PreTrainedModel) -> nn.Module:
        """The model with an adapter at every site. peft writes into the configuration that it is given: a copy."""
        return get_peft_model(model, copy.deepcopy(self))

    def expected_parameters(self, backbone: Backbone) -> int:
        """The adapter's own count, at every site."""
        return sum(self.parameters(inputs, outputs) for inputs, outputs in backbone.sites(*self.sites()))

    def sites(self) -> tuple[str, ...]:
        """Which sites (field names of `Sites`) are adapted where `target_modules` is not given."""
        return ("query_value",)

    def owns(self, parameter: str) -> bool:
        """All else is what `modules_to_save` or peft's task types train whole."""
        return f"{self.kind}_adapter." in parameter

    def adapter(self, inputs: int, outputs: int) -> nn.Module:
        """A fresh adapter for a linear map of that shape; draws only from torch's global generator."""
        raise NotImplementedError

    def parameters(self, inputs: int, outputs: int) -> int:
        """Number of trainable parameters of that adapter, in closed form."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """The configuration as JSON types, without what says where it runs; sets are sorted, as hash order varies."""
        runtime = {field.name for field in fields(self) if field.metadata.get("runtime")}
        kept = {key: value for key, value in super().to_dict().items() if key not in runtime}
        return {key: sorted(value) if isinstance(value, set) else value for key, value in kept.items()}

    def save_pretrained(self, save_directory: str, **kwargs: Any) -> None:
        """Save `adapter_config.json`, and the page beside it that says what the adapter is and how it is loaded."""
        super().save_pretrained(save_directory, **kwargs)
        model_card.write(Path(save_directory), self, self.use())

    def use(self) -> str:
        """Markdown: what loading needs, and what the adapter can become."""
        kind = self.kind.upper()
        return (
            f"`{kind}` is an adapter of the package `ketune`; after `import ketune` peft's `PeftModel.from_pretrained` "
            f"loads it as well, without ketune peft stops with `KeyError: '{kind}'`. {self.conversion()}"
        )

    def conversion(self) -> str:
        """Whether the adapter can be merged, or saved as plain LoRA, and how."""
        return f"Neither merged nor plain LoRA: {cannot_merge(self.kind)}"


class Tuner(BaseTuner):
    """Puts adapter layers over the targeted linear maps; a method's tuner names its prefix and its layer class."""

    tuner_layer_cls: type[AdapterLayer]
    target_module_mapping: dict[str, list[str]] = {}  # noqa: RUF012 (peft reads it; `ketune.tuners.sites` is our table)

    def _prepare_adapter_config(self, peft_config: PeftConfig, model_config: dict[str, Any]) -> PeftConfig:
        peft_config = cast(AdapterConfig, peft_config)
        if peft_config.target_modules is None:
            found = targets(model_config["model_type"], *peft_config.sites())
            peft_config.target_modules = found  # type: ignore[assignment]  # peft's own configurations hold a set
        return peft_config

    def inject_adapter(self, model: nn.Module, adapter_name: str, *args: Any, **kwargs: Any) -> None:
        """As in peft; where some map refuses its adapter, the model is left as it was before."""
        before = {name for name, module in model.named_modules() if isinstance(module, AdapterLayer)}
        try:
            super().inject_adapter(model, adapter_name, *args, **kwargs)
        except Exception:
            for name, module in list(model.named_modules()):
                if isinstance(module, AdapterLayer) and name in before:
                    module.remove(adapter_name)
                elif isinstance(module, AdapterLayer):
                    model.set_submodule(name, module.base_layer)
            raise

    def _create_and_replace(
        self,
        peft_config: PeftConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        parameter_name: str | None = None,
    ) -> None:
        if isinstance(target, AdapterLayer):
            # TRL makes its reference of a trained adapter by that adapter's own configuration and a copy of parameters
            of_its_config = [name for name, other in self.peft_config.items() if other is peft_config]
            same = next((name for name in of_its_config if name in target.adapters), None)
            target.add(adapter_name, cast(AdapterConfig, peft_config), same)
            return
        layer = self.tuner_layer_cls(target, current_key, self.prefix)
        layer.add(adapter_name, cast(AdapterConfig, peft_config))
        if adapter_name not in self.active_adapters:
            layer.requires_grad_(False)
        self._replace_module(parent, target_name, layer, target)

    @classmethod
    def _remove_adapter_name_from_key(cls, key: str, adapter_name: str) -> str:
        # peft strips the name only at the end of a key; an adapter that is a module with parts has it further inside.
        container = f".{cls.prefix}adapter"
        return key.replace(f"{container}.{adapter_name}.", f"{container}.")

    def _check_merge_allowed(self) -> None:
        if not issubclass(self.tuner_layer_cls, WeightLayer):
            raise NotImplementedError(cannot_merge(self.prefix.removesuffix("_")))
        for module in self.model.modules():
            if isinstance(module, WeightLayer):
                module.check_mergeable()  # all of them before the first is changed
        super()._check_merge_allowed()

    def add_weighted_adapter(self, *args: Any, **kwargs: Any) -> None:
        """Refuse: a weighted sum of adapters is no adapter of the same form.

        Raises:
            NotImplementedError: always.
        """
        merges = issubclass(self.tuner_layer_cls, WeightLayer)
        remedy = (
            "merge each into the base model, or convert them by peft.convert_to_lora and add those"
            if merges
            else "make several active at once by base_model.set_adapter([…]), which adds them up"
        )
        raise NotImplementedError(
            f"add_weighted_adapter: a weighted sum of {self.prefix.removesuffix('_')} adapters is none of that kind; "
            f"{remedy}."
        )

    @contextmanager
    def _enable_peft_forward_hooks(self, *args: Any, **kwargs: Any) -> Iterator[None]:
        if kwargs.get("adapter_names") is not None:
            raise InputError(
                f"adapter_names: {kwargs['adapter_names']!r} was given, but {self.prefix}adapters cannot be mixed in "
                "one batch; call set_adapter and run one batch per adapter."
            )
        yield
