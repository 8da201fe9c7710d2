"""The data: read, clean, deduplicate, split by content.

It knows Alpaca's format (instruction, input, output), no prompt and no tokenizer. A record's split follows from a hash
of its instruction and input alone: adding records never moves another one, and equal ones never lie in two splits.
"""

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ketune import sources
from ketune.ground.errors import InputError
from ketune.ground.params import Data
from ketune.records.examples import Example, Passage

FIELDS = ("instruction", "input", "output")
# Alpaca's generator wrote these where it meant "no input".
NO_INPUT = re.compile(
    r"[<(\[]?\s*(no\s?input|n/?a|none)(\s+(is\s+)?(required|needed|provided|given))?\s*[>)\]]?\.?", re.I
)


@dataclass(frozen=True)
class Corpus:
    """What `prepare` keeps, and why it dropped the rest.

    Attributes:
        examples: split name → records, in the order of their hashes.
        dropped: reason → number of records.
        read: number of records read.
    """

    examples: dict[str, list[Example]]
    dropped: dict[str, int]
    read: int


def _example(place: str, record: Any) -> Example:
    if not isinstance(record, dict):
        raise InputError(f"{place}: an object with {', '.join(FIELDS)} is expected, not {type(record).__name__}.")
    for field in FIELDS:
        if field not in record and field != "input":
            raise InputError(f"{place}: no field {field!r}; each record has {', '.join(FIELDS)}.")
        value = record.get(field, "")
        if not isinstance(value, str) and not (field == "input" and value is None):
            raise InputError(f"{place}: field {field!r} is {type(value).__name__}; a text is expected.")
    values = {field: _clean(record.get(field) or "") for field in FIELDS}
    if NO_INPUT.fullmatch(values["input"]):
        values["input"] = ""
    return Example(id=_identity(values["instruction"], values["input"]), **values)


def _clean(text: str) -> str:
    """Uniform line ends, no control characters, no lone surrogates, no space at either end."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").decode("utf-8")
    return "".join(c for c in text if c in "\n\t" or (ord(c) >= 32 and ord(c) != 127)).strip()


def _identity(instruction: str, given: str) -> str:
    """16 hex digits of a hash of the prompt, blind to case and spacing."""
    normal = "\x00".join(" ".join(part.casefold().split()) for part in (instruction, given))
    return hashlib.sha256(normal.encode()).hexdigest()[:16]


def assign(identity: str, data: Data) -> str:
    """The split of a record, from its identity alone."""
    position = int(identity[:13], 16) / 16**13
    if position < data.test_fraction:
        return "test"
    return "validation" if position < data.test_fraction + data.validation_fraction else "train"


def build(data: Data) -> Corpus:
    """Read, clean, deduplicate and split.

    Raises:
        InputError: a broken record, or too many dropped ones.
    """
    kept: dict[str, Example] = {}
    dropped: Counter[str] = Counter()
    first_place: dict[str, str] = {}
    total = 0
    for place, record in sources.read(data):
        total += 1
        example = _example(place, record)
        reason = _reason_to_drop(example, kept)
        if reason:
            dropped[reason] += 1
            first_place.setdefault(reason, place)
        else:
            kept[example.id] = example
    _refuse_many_dropped(dropped, first_place, total, data)
    examples: dict[str, list[Example]] = {"train": [], "validation": [], "test": []}
    for identity in sorted(kept):
        examples[assign(identity, data)].append(kept[identity])
    return Corpus(examples=examples, dropped=dict(sorted(dropped.items())), read=total)


def _reason_to_drop(example: Example, kept: dict[str, Example]) -> str | None:
    if not example.instruction:
        return "empty instruction"
    if not example.output:
        return "empty output"
    return "duplicate prompt" if example.id in kept else None


def _refuse_many_dropped(dropped: Counter[str], first_place: dict[str, str], total: int, data: Data) -> None:
    if total == 0:
        raise InputError(f"data.source: {data.hub or data.source!r} holds no record.")
    if dropped.total() > data.dropped_at_most * total:
        listed = "; ".join(f"{count} × {reason}, first at {first_place[reason]}" for reason, count in dropped.items())
        raise InputError(
            f"data: {dropped.total()} of {total} records cannot be used ({listed}); mend them, or raise "
            f"data.dropped_at_most, now {data.dropped_at_most:g}."
        )


def require(examples: dict[str, list[Example]], needs: dict[str, tuple[int, str]]) -> None:
    """Refuse a corpus with too few records.

    Args:
        needs: split → (records, the params key that asks for them; empty where none does).

    Raises:
        InputError: names the split, what it has and what it needs.
    """
    for split, (count, key) in needs.items():
        if len(examples[split]) < count:
            fraction = f"data.{split}_fraction"
            remedies = ["give more records", *([] if split == "train" else [f"raise {fraction}"])]
            remedies += [f"lower {key}"] if key else []
            raise InputError(
                f"{key or fraction}: the {split} split has {len(examples[split])} records, and {count} are needed; "
                f"{', or '.join(remedies)}."
            )


def read_passages(path: Path) -> list[Passage]:
    """Neutral text: JSON lines with a field "text".

    Raises:
        InputError: the file is missing, broken or empty.
    """
    if not path.is_file():
        raise InputError(f"data.retention: no file {str(path)!r}; give JSON lines with a field 'text'.")
    passages: dict[str, Passage] = {}
    for place, record in sources.jsonl(path):
        text = record.get("text") if isinstance(record, dict) else None
        if not isinstance(text, str) or not _clean(text):
            raise InputError(f"{place}: a field 'text' that is not empty is expected.")
        passage = Passage(id=_identity(_clean(text), ""), text=_clean(text))
        if passage.id in passages:
            raise InputError(f"{place}: the same text stands above; keep one.")
        passages[passage.id] = passage
    if not passages:
        raise InputError(f"data.retention: {str(path)!r} holds no passage.")
    return list(passages.values())
