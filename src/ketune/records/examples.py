"""The rows of data: instructions with their answers, and neutral text."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Example:
    """One record of the data: an instruction, its input (may be empty) and the reference answer."""

    id: str
    instruction: str
    input: str
    output: str


@dataclass(frozen=True, kw_only=True)
class Passage:
    """One paragraph of neutral text."""

    id: str
    text: str
