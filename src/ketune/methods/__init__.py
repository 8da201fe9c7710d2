"""What a method is, and the way from a name to one that can be trained.

A method is a declaration: an adapter of `ketune.tuners` with some of its settings fixed, and its part in the
comparison. Each is a file of this folder with one `METHOD = Method(…)`. Its file, its section in `params.yaml`, its
item in the list `methods` and its outputs bear the same name. Declarations are read without torch, which comes with
the adapter. This module knows no method by name; a method knows no other method.
"""

from __future__ import annotations

import functools
import importlib
import math
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ketune.ground import declarations
from ketune.ground.checks import Positive, Range, checked, entries
from ketune.ground.errors import InputError, nearest

if TYPE_CHECKING:
    from torch import nn

    from ketune.tuners.adapter import Adapter

TUNED = "tuned"
"""Stands for a learning rate that is searched for instead of given."""


@dataclass(frozen=True)
class Departure:
    """A way in which a method differs from its source, under some settings or under all.

    Attributes:
        text: a sentence.
        where: setting → value; it holds where all of them are so.
        unless: setting → value; it holds where none of them is so.
    """

    text: str
    where: Mapping[str, Any] = field(default_factory=dict)
    unless: Mapping[str, Any] = field(default_factory=dict)

    def holds(self, settings: Mapping[str, Any]) -> bool:
        """Whether the method departs so with these settings."""
        return all(settings[key] == value for key, value in self.where.items()) and not any(
            settings[key] == value for key, value in self.unless.items()
        )


@dataclass(frozen=True, kw_only=True)
class Method:
    """A method's declaration.

    Attributes:
        title: the name that figures and tables print.
        family: decides the colour in figures; and of those that are "quantum" the report tells what their controls say.
        source: where the method comes from (paper and equation, or "this project").
        adapter: the module of `ketune.tuners` that holds its adapter.
        fixed: settings of the adapter that the method does not leave to its section.
        control_of: methods that it is a control of: the same with one part removed or replaced.
        isolates: what is learnt from comparing the two.
        matches: the method whose number of parameters its own is to equal, if any.
        draws: what a seed draws and training keeps, such as angles or a fixed random map. Runs of such a method differ
            by more than training, so it neither lends its variance over seeds to other methods nor borrows theirs.
        rates: name → range searched, of the learning rate of each part of the adapter; parts of unlike scale have rates
            of their own.
        optional: parts whose rate a section may leave out; what belongs to one is then trained at the rate of another.
        departures: in what it differs from its source.
    """

    title: str
    family: Literal["reference", "classical", "quantum", "control"]
    source: str
    adapter: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    control_of: tuple[str, ...] = ()
    isolates: str = ""
    matches: str | None = None
    draws: str = ""
    rates: Mapping[str, Range] = field(default_factory=dict)
    optional: tuple[str, ...] = ()
    departures: tuple[Departure, ...] = ()

    @property
    def kind(self) -> type[Adapter]:
        """The adapter's class; this imports torch."""
        return importlib.import_module(f"ketune.tuners.{self.adapter}").ADAPTER

    @property
    def settings(self) -> dict[str, Any]:
        """Name → annotated type of each setting that its section gives."""
        return {name: hint for name, hint in self.kind.settings().items() if name not in self.fixed}


@dataclass(frozen=True)
class ConfiguredMethod:
    """A method with its settings, as training uses it.

    Attributes:
        adapter: its adapter, with all settings.
        learning_rates: the rate of each part.
    """

    adapter: Adapter
    learning_rates: dict[str, float]

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Groups for the optimiser, one for each rate: `params`, `rate` (its name), `lr` (its value) and `apart`.

        Raises:
            InputError: a trained weight has no rate, or a rate no weight.
        """
        return self.adapter.parameter_groups(model, self.learning_rates)


@functools.cache
def names() -> tuple[str, ...]:
    """Every method that ships with ketune, in alphabetical order."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


@functools.cache
def declared(name: str) -> Method:
    """The declaration of the method called `name`.

    Raises:
        InputError: no such method, or a declaration that is not whole.
    """
    if name not in names():
        raise InputError(
            f"methods: unknown method {name!r}; there are {', '.join(names())}.{nearest(name, names())} "
            f"A new one is a file src/ketune/methods/{name}.py and a section {name!r} in params.yaml."
        )
    method: Any = getattr(importlib.import_module(f"{__name__}.{name}"), "METHOD", None)
    declarations.check(name, method, Method, names(), Path(__file__).parents[1] / "tuners")
    return method


def controls(of: str) -> tuple[str, ...]:
    """The methods that are declared controls of the method `of`."""
    return tuple(name for name in names() if of in declared(name).control_of)


def departures(name: str, section: Mapping[str, Any]) -> list[str]:
    """In what the method `name` differs from its source with the settings of that section; this needs no torch."""
    method = declared(name)
    return [departure.text for departure in method.departures if departure.holds({**section, **method.fixed})]


def with_controls(*chosen: str) -> list[str]:
    """The methods `chosen` and every declared control of them, each once."""
    return list(dict.fromkeys([*chosen, *(control for name in chosen for control in controls(name))]))


def load(name: str, section: Mapping[str, Any]) -> ConfiguredMethod:
    """The method `name` with the values of its params section.

    Args:
        section: a value for each setting that the method leaves open, and `learning_rates`, all of them numbers.

    Raises:
        InputError: unknown method, unknown or missing key, a rate that is still to be tuned, or a value that the
            adapter refuses.
    """
    made, found = configured(name, section)
    for rate, value in found.items():
        if value is None:
            key = f"{name}.learning_rates.{rate}"
            raise InputError(f"{key}: {TUNED!r}, but no rate has been tuned; give a number, or tune {name} first.")
    return ConfiguredMethod(made, found)


def adapter(name: str, section: Mapping[str, Any]) -> Adapter:
    """The adapter of the method `name` with the values of its params section, whatever its learning rates.

    Raises:
        InputError: as `load`.
    """
    method = declared(name)
    declarations.among(method.fixed, method.kind.settings(), f"{name}, fixed")
    values = entries(section, method.settings | ({"learning_rates": Any} if method.rates else {}), name)
    values.pop("learning_rates", None)
    try:
        return method.kind.configured({**values, **method.fixed})
    except InputError as error:  # the adapter names its own kind; the user knows the method's section
        raise InputError(f"{name}.{str(error).removeprefix(f'{method.adapter}.')}") from error


def configured(name: str, section: Mapping[str, Any]) -> tuple[Adapter, dict[str, Any]]:
    """The adapter of the method `name` and the rates of its parts, None where the section says "tuned".

    Raises:
        InputError: as `load`, but for rates to be tuned; or a rate of a part that the adapter has not.
    """
    made, found = adapter(name, section), rates(name, section)
    for part in found:
        if not made.has_part(part):
            key = f"{name}.learning_rates.{part}"
            raise InputError(
                f"{key}: with these settings {name} has no {part}; leave the key out (dvc exp run -S '~{key}')."
            )
    return made, found


def rates(name: str, section: Mapping[str, Any]) -> dict[str, Any]:
    """The learning rate of each part as the section of the method `name` gives it, None where it says "tuned".

    A part whose rate is optional is missing here where the section leaves it out.

    Raises:
        InputError: a rate is unknown, missing or not positive.
    """
    prefix = f"{name}.learning_rates"
    method = declared(name)
    given = entries(section.get("learning_rates", {}), dict.fromkeys(method.rates, Any), prefix, method.optional)
    return {
        rate: None if value == TUNED else checked(value, Positive, f"{prefix}.{rate}") for rate, value in given.items()
    }


def defaults(name: str) -> dict[str, Any]:
    """A section for the method `name`: its adapter's defaults, and the middle of each range that needs a rate."""
    method = declared(name)
    standard = method.kind.defaults()
    section = {setting: standard[setting] for setting in method.settings}
    needed = {rate: searched for rate, searched in method.rates.items() if rate not in method.optional}
    middle = {rate: math.prod(searched.ends) ** 0.5 for rate, searched in needed.items()}
    return section | ({"learning_rates": middle} if middle else {})
