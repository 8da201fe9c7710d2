"""Files are written whole or not at all."""

import os
from pathlib import Path

import pytest

from ketune.ground import records
from ketune.ground.errors import InputError
from ketune.ground.records import Example, Passage


def test_rows_come_back_with_any_text(tmp_path: Path) -> None:
    rows = [Passage(id="a", text="line\u2028separator\u0085next\n\ttab 'quotes\" <script>"), Passage(id="b", text="")]
    records.write_rows(tmp_path / "a.jsonl", rows)
    assert records.read_rows(tmp_path / "a.jsonl", Passage) == rows


def test_a_damaged_row_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "a", "text": "b"}\n{"id": "a"\n')
    with pytest.raises(InputError, match=r"a.jsonl, line 2: no row of Passage"):
        records.read_rows(path, Passage)
    with pytest.raises(InputError, match="run `dvc repro`"):
        records.read_rows(tmp_path / "missing.jsonl", Example)


@pytest.mark.parametrize("moment", ["before", "during"])
def test_a_failed_write_leaves_what_was_there(tmp_path: Path, moment: str) -> None:
    path = tmp_path / "a.json"
    records.write_json(path, {"old": 1})
    with pytest.raises(OSError, match="disk full"), records.replacing(path) as scratch:
        if moment == "during":
            scratch.write_text("half")
        raise OSError("disk full")
    assert records.read_json(path) == {"old": 1}
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_failed_folder_leaves_what_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with records.replacing(folder) as scratch:
        scratch.mkdir()
        (scratch / "a").write_text("1")
    with pytest.raises(ValueError, match="stop"), records.replacing(folder) as scratch:
        scratch.mkdir()
        (scratch / "b").write_text("2")
        raise ValueError("stop")
    assert os.listdir(tmp_path) == ["out"] and os.listdir(folder) == ["a"]


def test_leftovers_of_a_killed_process_are_cleared(tmp_path: Path) -> None:
    (tmp_path / ".partial-a.json-xyz").mkdir()
    records.write_json(tmp_path / "a.json", 1)
    assert os.listdir(tmp_path) == ["a.json"]


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        records.write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not os.listdir(tmp_path)


def test_equal_values_are_equal_bytes(tmp_path: Path) -> None:
    records.write_json(tmp_path / "a.json", {"x": 1, "y": [0.1]})
    records.write_json(tmp_path / "b.json", {"y": [0.1], "x": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
