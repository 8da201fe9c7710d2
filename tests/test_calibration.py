"""The report tells planted verdicts as they were recorded, and judges planted studies by its own rule."""

from dataclasses import replace
from pathlib import Path

import pytest

from ketune.ground import files, layout, params
from ketune.report import calibration, results
from ketune.report.calibration import Lead, PlantedStudy, PlantedVerdict
from report_project import Study, write

LEADS = {"lora_matched": -0.4, "qaa_frozen": -0.2, "base": -0.9}
FOUND = PlantedVerdict(
    method="qaa", expected=True, contributes=True, sentence="QAA: the circuit contributes.", loss=1.95,
    angle_errors=(0.01, 0.02, 0.3),
    differences=tuple(
        Lead(control=control, difference=lead, low=lead - 0.1, high=lead + 0.1, word="better")
        for control, lead in LEADS.items()
    ),
)  # fmt: skip
WRONG = replace(FOUND, method="qaa_frozen", expected=False, angle_errors=None)
STUDY = PlantedStudy(
    name="circuit", teacher="qaa", teacher_loss=1.92, base_loss=2.85, verdicts=(FOUND,), seeds=(0, 1, 2), steps=100,
    training_records=600, test_records=100, date="2026-01-02", wall_seconds=9.0, packages={"torch": "2.13.0"},
)  # fmt: skip


def test_no_study_is_said_to_be_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert calibration.read() == []
    assert calibration.table([]) is None
    assert calibration.sentence([]) == "No planted study is recorded; make planted runs them."


def test_a_recorded_study_is_read_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files.write_json(layout.planted(STUDY.name), STUDY)
    assert calibration.read() == [STUDY]


def test_right_and_wrong_verdicts_are_counted() -> None:
    assert calibration.sentence([STUDY]).startswith(
        "1 of 1 planted verdicts are right (run on 2026-01-02 with torch 2.13.0"
    )
    both = replace(STUDY, verdicts=(FOUND, WRONG), date="2026-01-03")
    assert calibration.sentence([STUDY, both]).startswith("2 of 3 planted verdicts are right (run on 2026-01-02")


def test_a_row_names_the_hardest_control_and_what_was_recovered() -> None:
    right, wrong = (row for _, row in calibration.table([replace(STUDY, verdicts=(FOUND, WRONG))]).cells.iterrows())
    assert right["Against the hardest control"].value == -0.2
    assert right["Against the hardest control"].note == "[\u22120.300, \u22120.100] QAA, frozen angles"
    assert right["Above the teacher"].value == pytest.approx(0.03)
    assert (right["Angles off by"].value, right["Angles off by"].note) == (0.02, "0.010 to 0.300 rad")
    assert (right["Was said"].note, right["Was said"].mark) == ("right", "better")
    assert (wrong["Was said"].note, wrong["Was said"].mark) == ("wrong", "worse")
    assert (wrong["Had to be said"].text, wrong["Was said"].text) == ("not shown", "contributes")
    assert wrong["Angles off by"].text == "–"


def test_a_control_in_the_place_of_its_method_must_beat_the_others() -> None:
    controls = set(calibration.controls("qaa"))
    assert {"base", "qaa_frozen", "lora_matched"} <= controls
    assert set(calibration.controls("qaa_frozen")) == controls - {"qaa_frozen"}


@pytest.mark.parametrize(("lead", "contributes"), [(-0.5, True), (0.0, False)])
def test_the_rule_judges_a_made_up_study(
    lead: float, contributes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = ["qaa", *calibration.controls("qaa")]
    effects = dict.fromkeys(arms, -0.1) | {"qaa": -0.1 + lead}
    write(tmp_path, Study(arms, list(range(8)), prompts=3, likelihoods=20, steps=6, effects=effects))
    monkeypatch.chdir(tmp_path)
    found = calibration.judge(results.read(params.load()), "qaa", True, None)
    assert (found.contributes, found.right) == (contributes, contributes)
    assert ("the circuit contributes" in found.sentence and "not shown" not in found.sentence) == contributes
    assert {one.control for one in found.differences} == set(arms) - {"qaa"}
    assert all(one.difference == pytest.approx(lead, abs=0.1) for one in found.differences)
