"""Values against annotations: a mapping becomes a dataclass, each key known, typed and within its range.

It knows types and bounds. It does not know what a key means; the error names the key as the user wrote it.

Records that a stage wrote are read by pydantic (`ketune.ground.files`), as what is wrong with them is damage. What a
user wrote is checked here: where pydantic is strict it refuses YAML's lists and mappings for tuples and dataclasses,
where it is not it takes "1" for 1; and the same annotations check an adapter's configuration that is made in Python.
"""

import math
import types
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ketune.ground.errors import InputError, nearest, shown

T = TypeVar("T")


@dataclass(frozen=True)
class Range:
    """Bounds of a number; `above` and `below` exclude the bound, `low` and `high` include it."""

    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None

    def holds(self, value: float) -> bool:
        """True where `value` lies within every bound given."""
        return (
            (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    @property
    def ends(self) -> tuple[float, float]:
        """(low, high) of a range that includes both.

        Raises:
            InputError: it is open on a side.
        """
        if self.low is None or self.high is None:
            raise InputError(f"range: {self or 'without bounds'} is given; low and high are needed, as in Range(1, 2).")
        return self.low, self.high

    def __str__(self) -> str:
        bounds = [(self.low, "at least"), (self.above, "above"), (self.high, "at most"), (self.below, "below")]
        return " and ".join(f"{word} {bound:.10g}" for bound, word in bounds if bound is not None)


Count = Annotated[int, Range(low=1)]
Whole = Annotated[int, Range(low=0)]
Seed = Annotated[int, Range(low=0, high=2**32 - 1)]  # NumPy takes no more
Probability = Annotated[float, Range(low=0, high=1)]
Fraction = Annotated[float, Range(above=0, below=1)]
NonNegative = Annotated[float, Range(low=0)]
Positive = Annotated[float, Range(above=0)]


def build(kind: type[T], section: Any, prefix: str) -> T:
    """A dataclass from a mapping, each key checked against its annotation.

    Raises:
        InputError: names the key, the value given and what is allowed.
    """
    hints = get_type_hints(kind, include_extras=True)
    return kind(**entries(section, {field.name: hints[field.name] for field in fields(kind)}, prefix))  # type: ignore[arg-type]  # any dataclass


def entries(section: Any, hints: Mapping[str, Any], prefix: str, optional: Collection[str] = ()) -> dict[str, Any]:
    """The mapping `section` with exactly the keys of `hints`, each value checked against its annotated type.

    Args:
        optional: keys that may be missing.

    Raises:
        InputError: names the key, the value given and what is allowed.
    """
    if not isinstance(section, Mapping):
        keys = ", ".join(hints) or "no keys"
        raise InputError(f"{prefix}: {shown(section)} is no mapping of keys to values; {prefix} has {keys}.")
    allowed = list(hints)
    for key in section:
        if key not in allowed:
            listed = ", ".join(allowed) or "no keys"
            raise InputError(f"{prefix}.{key}: unknown key; {prefix} has {listed}.{nearest(key, allowed)}")
    needed = [key for key in allowed if key not in optional]
    for key in needed:
        if key not in section:
            raise InputError(f"{prefix}.{key}: missing; {prefix} needs {', '.join(needed)}.")
    return {key: checked(section[key], hints[key], f"{prefix}.{key}") for key in allowed if key in section}


def checked(value: Any, hint: Any, key: str) -> Any:
    """`value` in the type of `hint` (a whole number serves as float), or InputError."""
    origin = get_origin(hint)
    if origin is Annotated:
        base, *bounds = get_args(hint)
        value = checked(value, base, key)
        for bound in bounds:
            if isinstance(bound, Range) and value is not None and not bound.holds(value):
                raise InputError(f"{key}: {shown(value)} is out of range; allowed is a number {bound}.")
        return value
    if origin is Literal:
        if not any(value == option and type(value) is type(option) for option in get_args(hint)):
            options = [str(option) for option in get_args(hint)]
            listed = ", ".join(options)
            raise InputError(f"{key}: {shown(value)} is not allowed; choose one of {listed}.{nearest(value, options)}")
        return value
    if origin in (Union, types.UnionType):
        if value is None and type(None) in get_args(hint):
            return None
        return checked(value, next(a for a in get_args(hint) if a is not type(None)), key)
    if origin in (list, tuple):
        return _list(value, hint, key)
    if origin is dict:
        if not isinstance(value, dict):
            raise InputError(f"{key}: {shown(value)} is no mapping of names to values.")
        return {name: checked(one, get_args(hint)[1], f"{key}.{name}") for name, one in value.items()}
    return _scalar(value, hint, key)


def _list(value: Any, hint: Any, key: str) -> Any:
    if not isinstance(value, (list, tuple)):
        raise InputError(f"{key}: {shown(value)} is no list; write [a, b], or one item to a line after a dash.")
    item = get_args(hint)[0]
    return get_origin(hint)(checked(v, item, f"{key}[{i}]") for i, v in enumerate(value))


def _scalar(value: Any, hint: Any, key: str) -> Any:
    words = {int: "a whole number", float: "a number (write 0.0001 or 1.0e-4)", str: "a text", bool: "true or false"}
    if hint not in words:
        return value
    fits = isinstance(value, hint) or (hint is float and isinstance(value, int))
    if not fits or (isinstance(value, bool) and hint is not bool):
        raise InputError(f"{key}: {shown(value)} is not allowed; {words[hint]} is expected.")
    if isinstance(value, int) and value.bit_length() > 63:
        raise InputError(f"{key}: {shown(value)} is not allowed; a number below 2**63 is expected.")
    if hint is float and not math.isfinite(value):
        raise InputError(f"{key}: {shown(value)} is not allowed; a finite number is expected.")
    if hint is str and not value.strip():
        raise InputError(f"{key}: an empty text is not allowed.")
    return float(value) if hint is float else value
