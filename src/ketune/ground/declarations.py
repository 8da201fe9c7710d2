"""Whether a method's declaration is whole, as far as that can be told without its adapter. It knows no method."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from ketune.ground.checks import Range, checked
from ketune.ground.errors import InputError, nearest, shown

if TYPE_CHECKING:
    from ketune.methods import Method


def check(name: str, method: Any, kind: type[Method], methods: Collection[str], tuners: Path) -> None:
    """Refuse a declaration that would fail later, or say something else than is meant.

    Args:
        name: of the method.
        method: what its file calls METHOD.
        kind: of which it must be.
        methods: the names of all methods.
        tuners: the folder of the adapters.

    Raises:
        InputError: names the file, the field, what is given and what is allowed.
    """
    file = f"src/ketune/methods/{name}.py"
    if not isinstance(method, kind):
        raise InputError(f"{file}: no METHOD = Method(…) in it; CONTRIBUTING.md shows one.")
    hints = get_type_hints(kind)
    for key in ("title", "source", "family"):
        checked(getattr(method, key), hints[key], f"{file}, {key}")
    among((method.adapter,), adapters(tuners), f"{file}, adapter")
    among(method.control_of, methods, f"{file}, control_of")
    among(() if method.matches is None else (method.matches,), methods, f"{file}, matches")
    among(method.optional, method.rates, f"{file}, optional")
    if method.control_of and method.family not in ("control", "reference"):
        raise InputError(f"{file}, family: {method.family!r} is that of no control; choose control, or reference.")
    if method.control_of and not method.isolates:
        raise InputError(f"{file}, isolates: missing; a control says what is learnt from comparing the two.")
    for part, span in method.rates.items():
        if not isinstance(span, Range) or not 0 < (span.low or 0) < (span.high or 0):
            raise InputError(
                f"{file}, rates.{part}: {shown(span)} is not allowed; a range of numbers above 0 is expected, such as "
                "Range(1e-4, 1e-1)."
            )


def adapters(folder: Path) -> list[str]:
    """The kinds of adapters: the files of the folder that say `ADAPTER = …`."""
    files = sorted(folder.glob("*.py"))
    return [file.stem for file in files if "\nADAPTER = " in file.read_text(encoding="utf-8")]


def among(given: Collection[str], allowed: Collection[str], key: str) -> None:
    """Refuse a name that is not allowed, and a text in place of a tuple of names.

    Raises:
        InputError: names the key, what is given and what is allowed.
    """
    if isinstance(given, str):
        raise InputError(f"{key}: {given!r} is a text; a tuple is expected, ({given!r},).")
    for name in given:
        if name not in allowed:
            listed = ", ".join(allowed) or "none"
            raise InputError(f"{key}: {shown(name)} is unknown; there are {listed}.{nearest(name, allowed)}")
