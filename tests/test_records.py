"""Files are written whole or not at all, and read back as the records that they were written from."""

import os
from pathlib import Path

import pytest

from ketune.ground import files
from ketune.ground.errors import InputError
from ketune.records.examples import Example, Passage
from ketune.records.training import CurvePoint, TrainingRecord
from report_project import Study, write


def test_rows_come_back_with_any_text(tmp_path: Path) -> None:
    rows = [Passage(id="a", text="line\u2028separator\u0085next\n\ttab 'quotes\" <script>"), Passage(id="b", text="")]
    files.write_rows(tmp_path / "a.jsonl", rows)
    assert files.read_rows(tmp_path / "a.jsonl", Passage) == rows


def test_a_damaged_row_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "a", "text": "b"}\n{"id": "a"\n')
    with pytest.raises(InputError, match=r"a.jsonl, line 2: no Passage \(Invalid JSON"):
        files.read_rows(path, Passage)
    with pytest.raises(InputError, match="`dvc repro` makes it"):
        files.read_rows(tmp_path / "missing.jsonl", Example)


@pytest.fixture
def training(tmp_path: Path) -> Path:
    """What a run says of its training, in a file."""
    return write(tmp_path, Study(["qaa"], [0], prompts=1, likelihoods=1)) / "data/costs/qaa-0.json"


def test_a_record_of_records_comes_back(training: Path) -> None:
    record = files.read_json(training, TrainingRecord)
    assert record.machine.cores == 2 and record.card["gates"] == {"RX": 10, "CNOT": 10}
    before = training.read_bytes()
    files.write_json(training, record)
    assert training.read_bytes() == before


DAMAGES = {
    "cut short": (lambda text: text[: len(text) // 2], "Invalid JSON"),
    "empty": (lambda text: "", "Invalid JSON"),
    "a list": (lambda text: "[]", "an object"),
    "a missing field": (lambda text: text.replace(' "device": "cpu",\n', ""), "device"),
    "an unknown field": (
        lambda text: text.replace('"cores": 2', '"cores": 2, "core": 2'),
        r"machine\.core: Unexpected",
    ),
    "another type": (lambda text: text.replace('"cores": 2', '"cores": "2"'), r"machine\.cores: .*integer"),
    "text for a number": (lambda text: text.replace('"wall_seconds": 2', '"wall_seconds": "2"+'), "Invalid JSON"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_is_one_sentence_with_the_file_and_the_field(training: Path, damage: str) -> None:
    change, words = DAMAGES[damage]
    changed = change(training.read_text())
    assert changed != training.read_text()
    training.write_text(changed)
    with pytest.raises(InputError, match=rf"qaa-0\.json: no TrainingRecord \(.*{words}.*run `dvc repro`") as found:
        files.read_json(training, TrainingRecord)
    assert "\n" not in str(found.value)


def test_bytes_that_are_no_text_are_one_sentence(training: Path) -> None:
    training.write_bytes(training.read_bytes().replace(b"Example CPU", b"\xff\xfe"))
    with pytest.raises(InputError, match=r"qaa-0\.json: no TrainingRecord"):
        files.read_json(training, TrainingRecord)


POINTS = [CurvePoint(step=i, loss=2.1 / i, gradient_norm=1e-30, learning_rate=0.1) for i in (1, 2, 3)]


def test_a_curve_comes_back_with_all_its_digits(tmp_path: Path) -> None:
    files.write_csv(tmp_path / "a.csv", CurvePoint, POINTS)
    assert files.read_csv(tmp_path / "a.csv", CurvePoint) == POINTS
    files.write_csv(tmp_path / "a.csv", CurvePoint, [])
    assert files.read_csv(tmp_path / "a.csv", CurvePoint) == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [("step,loss", "loss,step", "columns step, loss"), ("2,1.05", "2,", "line 3: no CurvePoint .*loss"),
     ("\n2,", "\n2,7,", "line 3: no CurvePoint"), ("\n3,", "\n3.5,", "line 4: no CurvePoint .*step")],
)  # fmt: skip
def test_a_damaged_curve_is_one_sentence_with_the_file_and_the_line(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    path = tmp_path / "a.csv"
    files.write_csv(path, CurvePoint, POINTS)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError, match=rf"a\.csv.*{words}.*run `dvc repro`"):
        files.read_csv(path, CurvePoint)
    path.write_text("")
    with pytest.raises(InputError, match=r"a\.csv: the columns step"):
        files.read_csv(path, CurvePoint)


@pytest.mark.parametrize("moment", ["before", "during"])
def test_a_failed_write_leaves_what_was_there(tmp_path: Path, moment: str) -> None:
    path = tmp_path / "a.json"
    files.write_json(path, {"old": 1})
    with pytest.raises(OSError, match="disk full"), files.replacing(path) as scratch:
        if moment == "during":
            scratch.write_text("half")
        raise OSError("disk full")
    assert files.read_json(path, dict[str, int]) == {"old": 1}
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_failed_folder_leaves_what_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with files.replacing(folder) as scratch:
        scratch.mkdir()
        (scratch / "a").write_text("1")
    with pytest.raises(ValueError, match="stop"), files.replacing(folder) as scratch:
        scratch.mkdir()
        (scratch / "b").write_text("2")
        raise ValueError("stop")
    assert os.listdir(tmp_path) == ["out"] and os.listdir(folder) == ["a"]


def test_a_folder_whose_successor_cannot_be_moved_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, move = tmp_path / "out", os.replace
    with files.replacing(folder) as scratch:
        scratch.mkdir()
        (scratch / "a").write_text("1")

    def refuse(source: Path, target: Path) -> None:
        if Path(source).name == "out" and Path(target) == folder:
            raise OSError("disk full")
        move(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="disk full"), files.replacing(folder) as scratch:
        scratch.mkdir()
    assert os.listdir(tmp_path) == ["out"] and os.listdir(folder) == ["a"]


def test_leftovers_of_a_killed_process_are_cleared(tmp_path: Path) -> None:
    (tmp_path / ".partial-a.json-xyz").mkdir()
    files.write_json(tmp_path / "a.json", 1)
    assert os.listdir(tmp_path) == ["a.json"]


def test_what_another_process_writes_beside_under_a_longer_name_is_no_leftover(tmp_path: Path) -> None:
    with files.replacing(tmp_path / "alpaca-40") as longer:
        longer.mkdir()
        with files.replacing(tmp_path / "alpaca") as folder:
            folder.mkdir()
    assert sorted(os.listdir(tmp_path)) == ["alpaca", "alpaca-40"]


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not os.listdir(tmp_path)


def test_equal_values_are_equal_bytes(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"x": 1, "y": [0.1]})
    files.write_json(tmp_path / "b.json", {"y": [0.1], "x": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
