"""The report tells planted verdicts as they were recorded, and judges planted studies by its own rule."""

from dataclasses import replace
from pathlib import Path

import pytest

from ketune.ground import files, layout, params
from ketune.report import calibration, comparisons, gates, opening, results
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
    revision="0123456789abcdef0123456789abcdef01234567",
    search={"trials": 8, "refined": 4, "confirmed": 4, "horizon": 1.0},
)  # fmt: skip
TUNE = params.Tune(
    all=False, trials=8, refined=4, confirmed=4, horizon=1.0, validation_records=64, seed=1000
)  # that of the planted study


def test_no_study_is_said_to_be_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert calibration.read() == []
    assert calibration.table([]) is None
    assert calibration.sentence([], TUNE) == "No planted study is recorded; make planted runs them."


def test_a_recorded_study_is_read_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files.write_json(layout.planted(STUDY.name), STUDY)
    assert calibration.read() == [STUDY]
    assert isinstance(calibration.read()[0].search["trials"], int)
    assert calibration.sentence(calibration.read(), TUNE) == calibration.sentence([STUDY], TUNE)


def test_code_and_search_are_told_and_where_the_pages_search_is_another() -> None:
    search, other = "trials 8, refined 4, confirmed 4, horizon 1", replace(TUNE, refined=2, confirmed=2, horizon=0.5)
    told = calibration.sentence([STUDY], TUNE)
    assert told.endswith(f"Code: commit 0123456. Search for learning rates: {search}, as in this page's study.")
    differs = "where this page's study asks for refined 2, confirmed 2, horizon 0.5."
    assert calibration.sentence([STUDY], other).endswith(f"{search}, {differs}")
    changed = replace(STUDY, name="faint", revision=f"{STUDY.revision} with changes")
    assert "commit 0123456 with changes." in calibration.sentence([changed], TUNE)
    unknown = replace(changed, revision="")
    assert "commit 0123456 (circuit); commit not recorded (faint)." in calibration.sentence([STUDY, unknown], TUNE)


def test_right_and_wrong_verdicts_are_counted() -> None:
    assert calibration.sentence([STUDY], TUNE).startswith(
        "1 of 1 planted verdicts are right (run on 2026-01-02 with torch 2.13.0"
    )
    both = replace(STUDY, verdicts=(FOUND, WRONG), date="2026-01-03")
    assert calibration.sentence([STUDY, both], TUNE).startswith("2 of 3 planted verdicts are right (run on 2026-01-02")


@pytest.mark.parametrize(("verdicts", "passed"), [((FOUND,), True), ((FOUND, WRONG), False), ((), None)])
def test_one_wrong_planted_verdict_fails_the_gate(
    verdicts: tuple[PlantedVerdict, ...], passed: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write(tmp_path, Study(["base"], [0], prompts=3, likelihoods=3)))
    found = results.read(params.load())
    planted = [replace(STUDY, verdicts=(one,)) for one in verdicts]
    evidence = gates.Evidence(found, comparisons.judge(found), None, planted)
    gate = next(gate for gate in gates.gates(evidence) if gate.name == "Planted studies right")
    assert gate.passed is passed


@pytest.mark.parametrize(
    ("declared", "passed"),
    [("qaa against lora", True), ("quantum_peft against lora", None), ("lora against quantum_peft", None)],
)
def test_a_circuit_that_no_planted_study_judged_is_named_and_not_passed_where_it_is_declared(
    declared: str, passed: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    methods = ["base", "lora", "qaa", "quantum_peft"]
    monkeypatch.chdir(write(tmp_path, Study(methods, [0], prompts=3, likelihoods=3)))
    found = results.read(params.load())
    plan = replace(found.settings.plan, contrasts=(f"{declared} on loss",))
    found = replace(found, settings=replace(found.settings, plan=plan))
    evidence = gates.Evidence(found, comparisons.judge(found), None, [replace(STUDY, verdicts=(FOUND,))])
    gate = next(gate for gate in gates.gates(evidence) if gate.name == "Planted studies right")
    assert gate.passed is passed and gate.sentence.endswith(". No planted study judged a circuit of Quantum-PEFT.")


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


def made_up(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    lead: float = -0.5,
    method: str = "qaa",
    unlearnt: str = "",
    still: tuple[str, str] = ("", ""),
) -> results.Results:
    """A study in which a method leads controls that learnt alike, but for one that did not learn or stood still."""
    arms = ["qaa", *calibration.controls("qaa")]
    effects = dict.fromkeys(arms, -0.05) | {"base": 0.0, unlearnt: 0.0, method: -0.05 + lead}
    write(folder, Study(arms, list(range(8)), prompts=3, likelihoods=20, steps=6, effects=effects, still={still}))
    monkeypatch.chdir(folder)
    return results.read(params.load())


@pytest.mark.parametrize(("lead", "contributes"), [(-0.5, True), (0.0, False)])
def test_the_rule_judges_a_made_up_study(
    lead: float, contributes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = calibration.judge(made_up(tmp_path, monkeypatch, lead), "qaa", True, None)
    assert (found.contributes, found.right) == (contributes, contributes)
    assert ("the circuit contributes" in found.sentence and "not shown" not in found.sentence) == contributes
    assert {one.control for one in found.differences} == set(calibration.controls("qaa"))
    assert all(one.difference == pytest.approx(lead, abs=0.1) for one in found.differences)


def test_a_method_that_leads_controls_that_did_not_learn_is_not_said_to_contribute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = made_up(tmp_path, monkeypatch, unlearnt="bias_only")
    found = calibration.judge(study, "qaa", True, None)
    assert {one.word for one in found.differences} == {"better"}
    assert not found.contributes and not found.right
    assert "nothing is said about its circuit" in found.sentence
    assert "Bias only may not have learnt: not better than the untuned model." in found.sentence
    assert found.sentence == opening.statements(study, comparisons.judge(study))[-1].text


@pytest.mark.parametrize(
    ("still", "reason"),
    [
        (("qaa", "angles"), "QAA: no verdict, because a part that was to learn stood still (angles moved"),
        (("lora_matched", "weights"), "nothing is said about its circuit, as parts of LoRA (matched) stood still."),
    ],
)
def test_a_part_that_stood_still_leaves_nothing_to_say(
    still: tuple[str, str], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = made_up(tmp_path, monkeypatch, still=still)
    found = calibration.judge(study, "qaa", True, None)
    assert {one.word for one in found.differences} == {"better"}
    assert not found.contributes and reason in found.sentence
    assert found.sentence == opening.statements(study, comparisons.judge(study))[-1].text


@pytest.mark.parametrize(
    ("changes", "contributes", "reason"),
    [
        ({}, True, "QAA, frozen angles: the circuit contributes."),
        ({"lead": 0.0}, False, "it does not beat Bias only, LoRA (matched)"),
        ({"unlearnt": "bias_only"}, False, "but Bias only may not have learnt"),
        ({"still": ("lora_matched", "weights")}, False, "LoRA, matched: no verdict, because a part"),
        ({"still": ("qaa_frozen", "projection")}, False, "QAA, frozen angles: no verdict, because a part"),
    ],
)
def test_the_vetoes_count_for_a_control_in_the_place_of_its_method(
    changes: dict, contributes: bool, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = calibration.judge(made_up(tmp_path, monkeypatch, method="qaa_frozen", **changes), "qaa_frozen", False, None)
    assert (found.contributes, found.right) == (contributes, not contributes)
    assert reason in found.sentence
    assert {one.control for one in found.differences} == set(calibration.controls("qaa_frozen"))
