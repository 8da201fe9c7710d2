"""Files that are written whole or not at all, and read back as the dataclasses that they were written from.

This module knows JSON, CSV and the file system. It does not know what a record means.
"""

import csv
import dataclasses
import functools
import io
import json
import os
import shutil
import tempfile
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from ketune.ground.errors import InputError

T = TypeVar("T")
REMEDY = "remove the file and run `dvc repro`, or `git restore` it where git keeps it"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` (file or folder, as the caller makes it) that takes its place on success.

    On any error nothing is left but what lay there before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".partial-{path.name}-"  # .dvcignore names it, so that a killed stage's leftover changes no hash
    for leftover in path.parent.glob(f"{prefix}*"):
        if "-" not in leftover.name.removeprefix(prefix):  # else it is that of a longer name, such as alpaca-40
            shutil.rmtree(leftover, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent))
    try:
        yield scratch / path.name
        if not path.is_dir():
            os.replace(scratch / path.name, path)
            return
        os.replace(path, scratch / ".before")
        try:
            os.replace(scratch / path.name, path)
        except BaseException:
            os.replace(scratch / ".before", path)
            raise
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
    """Write a dataclass or plain values as JSON with sorted keys: equal values are equal bytes. NaN is refused."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False, default=dataclasses.asdict)
    write_text(path, text + "\n")


def read_json(path: Path, kind: type[T]) -> T:
    """Read what `write_json` wrote of a `kind`, a dataclass or a type of plain values, every field checked.

    Raises:
        InputError: the file is missing or damaged.
    """
    with _named(path, kind):
        return _adapter(kind).validate_json(_bytes(path), strict=True, extra="forbid")


def write_rows(path: Path, rows: Iterable[Any]) -> None:
    """Write dataclass instances as JSON lines."""
    lines = (json.dumps(dataclasses.asdict(row), ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
    write_text(path, "".join(lines))


def read_rows(path: Path, kind: type[T]) -> list[T]:
    """Read JSON lines that `write_rows` wrote.

    Raises:
        InputError: the file is missing, or a line is not such a row (the line is named).
    """
    rows = []
    for number, line in enumerate(_bytes(path).split(b"\n"), start=1):  # U+2028 and the like end no line here
        if line:
            with _named(path, kind, number):
                rows.append(_adapter(kind).validate_json(line, strict=True, extra="forbid"))
    return rows


def write_csv(path: Path, kind: type[T], rows: Iterable[T]) -> None:
    """Write dataclass instances as a CSV file, a column for each field; floats keep all their digits."""
    columns, text = _columns(kind), io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([getattr(row, column) for column in columns] for row in rows)
    write_text(path, text.getvalue())


def read_csv(path: Path, kind: type[T]) -> list[T]:
    """Read a CSV file that `write_csv` wrote.

    Raises:
        InputError: the file is missing, its columns are others, or a line is not such a row (the line is named).
    """
    header, *lines = list(csv.reader(_bytes(path).decode("utf-8", "replace").splitlines())) or [[]]
    if header != _columns(kind):
        columns = ", ".join(_columns(kind))
        raise InputError(f"{path}: the columns {columns} are expected; {REMEDY}.")
    rows = []
    for number, line in enumerate(lines, start=2):
        with _named(path, kind, number):
            rows.append(_adapter(kind).validate_strings(dict(zip(header, line, strict=True)), extra="forbid"))
    return rows


def _columns(kind: type) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def _adapter(kind: type[T]) -> TypeAdapter[T]:
    return _kept_adapter(cast(Hashable, kind))


@functools.cache
def _kept_adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; `dvc repro` makes it, or `git restore` where git keeps it.") from None


@contextmanager
def _named(path: Path, kind: type, line: int | None = None) -> Iterator[None]:
    """What is wrong with a value read inside becomes one sentence that names the file, and its line or field."""
    try:
        yield
    except ValueError as error:  # pydantic's is one too
        place = f"{path}, line {line}" if line else str(path)
        fault = _fault(error)
        raise InputError(f"{place}: no {kind.__name__} ({fault}); {REMEDY}.") from error


def _fault(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False)[0]
    field = ".".join(map(str, first["loc"]))
    return f"{field}: {first['msg']}" if field else first["msg"]
