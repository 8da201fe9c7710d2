"""The rows that stages hand to one another, and how files are written: whole or not at all.

This module knows JSON, CSV and the file system. It does not know what a number means.
"""

import csv
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from ketune.ground.errors import InputError

T = TypeVar("T")


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


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a run answered to one prompt."""

    id: str
    instruction: str
    input: str
    reference: str
    prediction: str
    new_tokens: int
    finished: bool


@dataclass(frozen=True, kw_only=True)
class Likelihood:
    """Negative log-likelihood of one text, summed over its scored tokens, in nats."""

    id: str
    negative_log_likelihood: float
    tokens: int


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` (file or folder, as the caller makes it) that takes its place on success.

    On any error nothing is left but what lay there before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".partial-{path.name}-"  # .dvcignore names it, so that a killed stage's leftover changes no hash
    for leftover in path.parent.glob(f"{prefix}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent))
    try:
        yield scratch / path.name
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(scratch / path.name, path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file whole or not at all."""
    with replacing(path) as scratch:
        with scratch.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys, so that equal values are equal bytes. NaN is refused."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file that a stage wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_rows(path: Path, rows: Iterable[Any]) -> None:
    """Write dataclass instances as JSON lines."""
    write_text(path, "".join(json.dumps(asdict(row), ensure_ascii=False, allow_nan=False) + "\n" for row in rows))


def read_rows(path: Path, kind: type[T]) -> list[T]:
    """Read JSON lines that `write_rows` wrote.

    Raises:
        InputError: the file is missing, or a line is not such a row (the line is named).
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # splitlines would also split at U+2028
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run `dvc repro`, which makes it.") from None
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            rows.append(kind(**json.loads(line)))
        except (TypeError, ValueError) as error:
            raise InputError(f"{path}, line {number}: no row of {kind.__name__} ({error}).") from error
    return rows


def write_csv(path: Path, columns: list[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write a CSV file; floats keep all their digits."""
    with replacing(path) as scratch:
        with scratch.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(rows)
