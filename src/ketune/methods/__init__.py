"""The contract of a method, and the way from a name to one.

A method is a way to adapt a frozen language model: a frozen, keyword-only dataclass whose fields are the keys of its
section in `params.yaml`. Its file, its section, its item in the list `methods` and its outputs bear the same name.
This module knows no method by name; a method knows no other method.
"""

import importlib
import pkgutil
from dataclasses import dataclass, fields
from typing import Any, ClassVar, get_type_hints

from peft import get_peft_model
from torch import nn
from transformers import PreTrainedModel

from ketune.ground.checks import build, checked
from ketune.ground.errors import InputError, nearest
from ketune.tuners.sites import suffixes
from ketune.tuners.tuner import AdapterConfig, configure


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """Sizes of a language model, for closed forms of parameter counts.

    Attributes:
        parameters: all weights, tied ones counted once.
        hidden: width of the residual stream, d.
        layers: number of decoder blocks.
        key_value_width: width of the keys (and of the values) of one block, all heads together.
        linears: (qualified name, inputs, outputs) of every linear map inside the blocks, Conv1D included.
    """

    parameters: int
    hidden: int
    layers: int
    key_value_width: int
    linears: tuple[tuple[str, int, int], ...]

    def sites(self, *suffixes: str) -> list[tuple[int, int]]:
        """(inputs, outputs) of each linear map whose name ends with one of `suffixes`."""
        return [(i, o) for name, i, o in self.linears if name.endswith(suffixes)]


class Method:
    """What the pipeline asks of a method. Subclasses are frozen dataclasses; each lives in a file of its own.

    Attributes:
        title: the name that figures and tables print.
        family: "reference", "classical", "quantum" or "control"; decides the colour in figures.
        source: where the method comes from (paper and equation, or "this project").
    """

    title: ClassVar[str]
    family: ClassVar[str]
    source: ClassVar[str]

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self), include_extras=True)
        prefix = type(self).__module__.rpartition(".")[2]
        for field in fields(self):  # type: ignore[arg-type]
            value = checked(getattr(self, field.name), hints[field.name], f"{prefix}.{field.name}")
            object.__setattr__(self, field.name, value)

    def attach(self, model: PreTrainedModel) -> nn.Module:
        """Turn the model into the one to train; afterwards `requires_grad` marks exactly what is trained."""
        raise NotImplementedError

    def expected_parameters(self, backbone: Backbone) -> int:
        """Number of trainable parameters in closed form."""
        raise NotImplementedError

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Groups for the optimiser; a group may carry `learning_rate_factor`. One group by default."""
        return [{"params": [p for p in model.parameters() if p.requires_grad]}]

    def after_step(self, model: nn.Module, step: int, steps: int, learning_rate: float) -> None:
        """Called after optimiser step `step` (from 1) of `steps`; a proximal method acts here."""

    def card(self, model: nn.Module) -> dict[str, Any]:
        """Facts about the trained adapter for the report: ranks left, qubits, gates, backend. JSON types only."""
        return {}


class AdapterMethod(Method):
    """A method that is one of ketune's own kinds of adapter, with equally named fields.

    Attributes:
        adapter: the adapter's configuration.
        fixed: fields of it that the method does not leave open.
    """

    adapter: ClassVar[type[AdapterConfig]]
    fixed: ClassVar[dict[str, Any]] = {}

    def __post_init__(self) -> None:
        super().__post_init__()
        self.config()

    def config(self) -> AdapterConfig:
        """A fresh configuration of the adapter; it refuses what does not fit together."""
        return configure(self.adapter, self, **self.fixed)

    def attach(self, model: PreTrainedModel) -> nn.Module:
        """The model with an adapter at every site."""
        return get_peft_model(model, self.config())

    def expected_parameters(self, backbone: Backbone) -> int:
        """The adapter's own count, at every site."""
        config = self.config()
        return sum(config.parameters(i, o) for i, o in backbone.sites(*suffixes(*config.words())))


def names() -> list[str]:
    """Every method that ships with ketune, in alphabetical order."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def kind(name: str) -> type[Method]:
    """The class of the method called `name`.

    Raises:
        InputError: no such method.
    """
    if name not in names():
        raise InputError(
            f"methods: unknown method {name!r}; there are {', '.join(names())}.{nearest(name, names())} "
            f"A new one is a file src/ketune/methods/{name}.py and a section {name!r} in params.yaml."
        )
    module = importlib.import_module(f"{__name__}.{name}")
    classes = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, Method) and c is not Method]
    own = [c for c in classes if c.__module__ == module.__name__]
    if len(own) != 1:
        raise InputError(f"src/ketune/methods/{name}.py must define exactly one Method; it defines {len(own)}.")
    return own[0]


def load(name: str, section: dict[str, Any]) -> Method:
    """The method `name` with the values of its params section.

    Raises:
        InputError: unknown method, unknown or missing key, or a value that the method refuses.
    """
    return build(kind(name), section, name)
