"""The one exception that a user's own input raises; every other exception is a defect of ketune or of the machine.

Its message is one sentence in three parts: what was given, what is allowed, what to do.
"""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """What the user gave (a file, a parameter, a name) cannot be used."""


class NotFinite(InputError):
    """What is to be read holds NaN or infinity; in training that is a run that diverged."""


def shown(value: object) -> str:
    """A value as a message shows it: as Python writes it, no longer than 60 characters."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deeply, or a number of thousands of digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."


def nearest(given: object, allowed: Iterable[str]) -> str:
    """A hint naming the valid spelling closest to `given`, or an empty string where none is close or it is no word."""
    matches = difflib.get_close_matches(given, list(allowed), n=1) if isinstance(given, str) else []
    return f" Did you mean {matches[0]!r}?" if matches else ""
