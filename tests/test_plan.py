"""A plan is made from a pilot before the study runs, and says what it will find."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from ketune import check
from ketune.ground import contrasts, files, layout, params
from ketune.ground.errors import InputError
from ketune.report import comparisons, panels, plan, planning, publishing, results
from ketune.report.plan import Plan
from report_project import ROOT, Study, write

ARMS = ["base", "full", "lora", "sora", "prefix", "qaa", "lora_matched", "bias_only", "qaa_frozen", "quantum_peft"]


def pilot(folder: Path, **changes: object) -> results.Results:
    """A made-up pilot of two seeds, read back."""
    made = {"methods": ARMS, "seeds": [0, 1], "likelihoods": 40, **changes}
    write(folder, Study(**made))
    return results.read(params.load())


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_make_plan_writes_what_the_study_will_find(tmp_path: Path) -> None:
    pilot(tmp_path)
    variables = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "ketune.report.planning"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found = files.read_json(layout.PLAN, Plan)
    assert Path("reports/plan/plan.md").read_text() == done.stdout.rstrip("\n") + "\n"
    assert (found.pilot_seeds, found.pilot_references, found.seeds, found.references) == (2, 40, 8, 400)
    roles = {promise.contrast: promise.role for promise in found.promises}
    assert roles["qaa against lora on loss"] == "planned"
    assert roles["qaa against qaa_frozen on loss"] == "control"
    assert not any("qtha" in contrast for contrast in roles)  # declared, and not listed
    assert found.date in done.stdout and "qaa against bias_only" in done.stdout


def test_the_records_of_a_study_are_a_pilot_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan.make(pilot(tmp_path), "2026-01-01")
    monkeypatch.setattr(publishing, "revision", lambda: "")  # no git here, and no DVC
    monkeypatch.setattr(publishing, "out_of_date", lambda settings, complete: [])
    publishing.records("before")
    (tmp_path / "data").rename(tmp_path / "gone")
    planning.write("before")
    found = files.read_json(layout.PLAN, Plan)
    rounded = {"date": "", "margin": None, "alternatives": (), "promises": ()}  # records have nine digits
    assert replace(found, **rounded) == replace(made, **rounded)
    assert found.margin == pytest.approx(made.margin, rel=1e-4)
    for one, other in zip(found.promises, made.promises, strict=True):
        assert (one.contrast, one.role, one.level) == (other.contrast, other.role, other.level)
        assert one.detectable == pytest.approx(other.detectable, rel=1e-6)
    with pytest.raises(InputError, match=r"STUDY: '\.\./x' is not allowed"):
        planning.write("../x")


def test_a_plan_is_made_at_the_confidence_of_params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pilot(tmp_path)
    monkeypatch.setattr(publishing, "revision", lambda: "")
    monkeypatch.setattr(publishing, "out_of_date", lambda settings, complete: [])
    publishing.records("before")
    content = yaml.safe_load(Path("params.yaml").read_text())
    content["report"]["confidence"] = 0.9
    Path("params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    planning.write("before")
    levels = {promise.role: promise.level for promise in files.read_json(layout.PLAN, Plan).promises}
    assert levels == pytest.approx({"control": 0.1, "planned": 0.1 / len(content["plan"]["contrasts"])})


def test_a_plan_promises_nothing_of_methods_that_are_not_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pilot(tmp_path)
    monkeypatch.setattr(publishing, "revision", lambda: "")
    monkeypatch.setattr(publishing, "out_of_date", lambda settings, complete: [])
    publishing.records("before")
    content = yaml.safe_load(Path("params.yaml").read_text()) | {"methods": ["qaa", "lora"]}
    Path("params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    planning.write("before")
    found = files.read_json(layout.PLAN, Plan)
    assert set(found.methods) == {"lora", "qaa"} and found.margin is None
    assert [promise.contrast for promise in found.promises] == ["qaa against lora on loss"]
    Path("params.yaml").write_text(yaml.safe_dump(content | {"methods": ["qtha"]}, sort_keys=False))
    with pytest.raises(InputError, match=r"methods: none of plan\.contrasts can be compared"):
        planning.write("before")


def test_planned_comparisons_share_the_error_and_controls_do_not(tmp_path: Path) -> None:
    measured = pilot(tmp_path)
    made, alpha = plan.make(measured, "2026-01-01"), measured.settings.report.alpha
    levels = {(promise.role, promise.level) for promise in made.promises}
    assert levels == {("planned", alpha / 4), ("control", alpha)} and alpha == pytest.approx(0.05)
    assert made.without_pilot == ("quantum_peft against lora_r1 on loss", "qtha against lora on loss")
    for promise in made.promises:
        assert dict(zip(made.differences, promise.power, strict=True))[0.1] >= promise.power[0] >= 0
        assert all(0 <= share <= 1 for share in promise.power + promise.confirmed)


def test_more_seeds_detect_less_and_hours_follow_the_measured_seconds(tmp_path: Path) -> None:
    measured = pilot(tmp_path)
    made = plan.make(measured, "2026-01-01")
    at = {(seeds, references): detectable for seeds, references, detectable in made.alternatives}
    assert at[3, 40] > at[8, 40] > at[8, 400]
    assert at[made.seeds, made.references] == max(promise.detectable for promise in made.promises)
    seconds = sum(run.training.cost.wall_seconds for run in measured.runs.values())
    assert made.training_hours == pytest.approx(seconds / 2 * 8 / 3600)


def test_a_pilot_of_one_seed_plans_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="seeds: a pilot needs two"):
        plan.make(pilot(tmp_path, seeds=[0]), "2026-01-01")


def test_a_pilot_without_the_methods_plans_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"plan\.contrasts"):
        plan.make(pilot(tmp_path, methods=["base", "lora"]), "2026-01-01")


def test_methods_whose_seed_draws_a_part_stand_apart(tmp_path: Path) -> None:
    measured = pilot(tmp_path, seeds=[0, 1, 2])
    found = panels.panel(measured, "loss")
    assert set(found.apart) == {"qaa", "qaa_frozen", "quantum_peft"}
    assert not found.estimate("qaa", "lora").borrowed
    assert found.estimate("lora", "sora").borrowed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("qaa beats lora on loss", r"plan\.contrasts\[0\]: 'qaa beats lora on loss'"),
        ("qaa against lore on loss", r"plan\.contrasts\[0\]: 'lore'.*lora"),
        ("qaa against qaa on loss", r"plan\.contrasts\[0\]: 'qaa' is compared with itself"),
    ],
)
def test_a_wrong_contrast_is_named(text: str, message: str, tmp_path: Path) -> None:
    raw = params.read(ROOT / "params.yaml")
    raw["plan"]["contrasts"] = [text]
    files.write_json(tmp_path / "params.yaml", raw)
    with pytest.raises(InputError, match=message):
        params.load(tmp_path / "params.yaml")


def test_a_metric_that_there_is_not_is_named_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = params.read(ROOT / "params.yaml")
    raw["plan"]["contrasts"] = ["qaa against lora on losss"]
    files.write_json(tmp_path / "params.yaml", raw)
    monkeypatch.chdir(tmp_path)
    for look in (check.check, lambda: plan.planned(params.load())):
        with pytest.raises(InputError, match=r"plan\.contrasts\[0\]: unknown metric 'losss'.* Did you mean 'loss'"):
            look()


def test_a_control_that_is_named_before_its_method_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = params.read(ROOT / "params.yaml")
    raw["plan"]["contrasts"] = [
        "qaa against lora on loss",
        "prefix against qaa on loss",
        "bias_only against qaa on loss",
    ]
    files.write_json(tmp_path / "params.yaml", raw)
    monkeypatch.chdir(tmp_path)
    for look in (check.check, lambda: plan.planned(params.load())):
        with pytest.raises(
            InputError, match=r"'bias_only against qaa on loss' .*; write 'qaa against bias_only on loss'"
        ):
            look()


def test_a_comparison_with_the_reference_that_is_declared_the_other_way_round_stands_once(tmp_path: Path) -> None:
    made = pilot(tmp_path)
    turned = replace(made.settings.plan, contrasts=("lora against qaa on loss",))
    found = replace(made, settings=replace(made.settings, plan=turned))
    listed = [one for one in comparisons.shown(found, comparisons.judge(found)) if {"lora", "qaa"} == set(one[1:])]
    assert [str(one) for one in listed] == ["lora against qaa on loss"]


def test_a_reference_without_a_section_is_named(tmp_path: Path) -> None:
    raw = params.read(ROOT / "params.yaml")
    raw["report"]["reference"] = "lore"
    files.write_json(tmp_path / "params.yaml", raw)
    with pytest.raises(InputError, match=r"report\.reference: 'lore' has no section .* Did you mean 'lora'"):
        params.load(tmp_path / "params.yaml")


def test_a_contrast_reads_as_it_is_written() -> None:
    assert str(contrasts.read("qaa against lora on loss", "key")) == "qaa against lora on loss"
