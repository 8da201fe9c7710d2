"""Files and hub datasets as raw records, each with its place for messages.

It knows JSON, JSON lines, Parquet and the hub's loader. It does not know what a record should hold.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from textwrap import shorten
from typing import Any

from ketune.ground import faults
from ketune.ground.errors import InputError
from ketune.ground.params import Data

SUFFIXES = (".json", ".jsonl", ".parquet")


def read(data: Data) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, record) for every record of the source, place being such as "line 3" for messages.

    Raises:
        InputError: the source is missing, of an unknown kind, or broken (the line or record is named).
    """
    if data.hub is not None:
        yield from _read_hub(data.hub, data.revision)
        return
    path = Path(data.source)
    if path.suffix not in SUFFIXES:
        raise InputError(f"data.source: {data.source!r} is of no known kind; allowed are {', '.join(SUFFIXES)}.")
    if not path.is_file():
        raise InputError(f"data.source: no file {data.source!r}; give a path from the project's folder.")
    readers = {".json": _read_json, ".jsonl": jsonl, ".parquet": _read_parquet}
    yield from readers[path.suffix](path)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise InputError(f"{path}, line {line}: not UTF-8 ({error.reason}); save the file as UTF-8.") from error


def _parse(text: str, where: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    except RecursionError:
        raise InputError(f"{where}: nested too deeply; a record is a flat object of three texts.") from None
    except ValueError as error:
        raise InputError(f"{where}: no valid JSON ({error}).") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
    if twice:
        raise InputError(f"the key {twice[0]!r} appears twice in one object; keep one.")
    return dict(pairs)


def _read_json(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    records = _parse(_text(path), str(path))
    if not isinstance(records, list):
        raise InputError(f"{path}: a list of records is expected, not {type(records).__name__}.")
    yield from ((f"{path}, record {i}", r) for i, r in enumerate(records, start=1))


def jsonl(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if line.strip():
            yield f"{path}, line {number}", _parse(line, f"{path}, line {number}")


def _read_parquet(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
        table.validate(full=True)  # names the row of a text that is not UTF-8
        records = table.to_pylist()
    except (pyarrow.ArrowException, ValueError, OverflowError, OSError) as error:
        if isinstance(error, OSError) and error.errno:  # the machine's own; a damaged page is an OSError without one
            raise
        raise InputError(f"{path}: no valid Parquet file ({str(error).splitlines()[0]}).") from error
    yield from ((f"{path}, row {i}", r) for i, r in enumerate(records, start=1))


def _read_hub(name: str, revision: str | None) -> Iterator[tuple[str, dict[str, Any]]]:
    from datasets import load_dataset

    try:
        records = load_dataset(name, revision=revision, split="train")
    except Exception as error:  # the hub client raises a dozen kinds; but for memory and disk each means: not to be had
        if faults.refused(error):
            raise
        reason = shorten(str(error), 200, placeholder=" ...")
        raise InputError(
            f"data.hub: {name!r} at revision {revision!r} cannot be loaded ({type(error).__name__}: {reason}); "
            "check the name and the network, or set data.hub to null and data.source to a file."
        ) from error
    yield from ((f"{name}, row {i}", r) for i, r in enumerate(records, start=1))
