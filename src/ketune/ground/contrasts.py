"""A comparison that is asked for, as params.yaml writes it and as the statistics and the report hand it on."""

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from ketune.ground.errors import InputError, nearest, shown


class Contrast(NamedTuple):
    """method - other, on a metric."""

    metric: str
    method: str
    other: str

    @property
    def reversed(self) -> "Contrast":
        """other - method."""
        return Contrast(self.metric, self.other, self.method)

    def __str__(self) -> str:
        return f"{self.method} against {self.other} on {self.metric}"


def read(text: str, key: str) -> Contrast:
    """From a text such as "qaa against lora on loss".

    Raises:
        InputError: the text has another form; `key` says where it stands.
    """
    found = re.fullmatch(r"(\w+) against (\w+) on (\w+)", text)
    if found is None:
        raise InputError(f"{key}: {shown(text)} is not allowed; write it like 'qaa against lora on loss'.")
    method, other, metric = found.groups()
    return Contrast(metric, method, other)


def check(declared: Sequence[Contrast], reference: str, known: Collection[str]) -> None:
    """Whether each of plan.contrasts names two known methods, no pair stands there twice, and the reference is known.

    Raises:
        InputError: one does not.
    """
    if reference not in known:
        raise InputError(f"report.reference: {reference!r} has no section in the file.{nearest(reference, known)}")
    for i, contrast in enumerate(declared):
        key = f"plan.contrasts[{i}]"
        for name in (contrast.method, contrast.other):
            if name not in known:
                raise InputError(f"{key}: {name!r} has no section in the file.{nearest(name, known)}")
        if contrast.method == contrast.other:
            raise InputError(f"{key}: {contrast.method!r} is compared with itself; name two methods.")
        if {contrast, contrast.reversed} & set(declared[:i]):
            raise InputError(
                f"{key}: {str(contrast)!r} stands in the list twice, or the other way round; list it once."
            )
