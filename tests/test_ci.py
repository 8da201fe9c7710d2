"""What CI runs: the comparison with a base revision, and the commands that the Makefile offers."""

import re
import subprocess
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest
import yaml

from conftest import ROOT, environment
from ketune import methods

LOADER = SourceFileLoader("compare", str(ROOT / ".ci/compare"))
compare = module_from_spec(spec_from_loader("compare", LOADER))
LOADER.exec_module(compare)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [(2.0, 2.01, 0), (2.0, 2.03, 1), (2.0, 1.5, 0), (None, 2.0, 0), (2.0, None, 0)],
)
def test_only_a_loss_that_rises_beyond_the_threshold_is_a_regression(old: float, new: float, found: int) -> None:
    differences = {"reports/metrics/qaa.json": {"loss": {"old": old, "new": new}, "bleu": {"old": 9.0, "new": 1.0}}}
    worse = compare.regressions(differences, 0.02)
    assert len(worse) == found
    assert not worse or worse[0].startswith("qaa: held-out loss 2.0 -> 2.03")


def fake_dvc(folder: Path, metrics: str) -> None:
    """A `dvc` that answers as the real one does, for the script's own logic."""
    script = folder / "dvc"
    script.write_text(
        f"#!/bin/sh\ncase \"$*\" in\n*--dry*) exit 0;;\n*metrics*--json) echo '{metrics}';;\n"
        "*) echo '| a | b |';;\nesac\n"
    )
    script.chmod(0o755)


@pytest.mark.parametrize(("new", "status"), [(2.01, 0), (2.5, 1)])
def test_the_script_judges_and_writes_the_comment(tmp_path: Path, new: float, status: int) -> None:
    fake_dvc(tmp_path, f'{{"reports/metrics/qaa.json": {{"loss": {{"old": 2.0, "new": {new}}}}}}}')
    (tmp_path / "params.yaml").write_text("report: {regression: 0.02}\n")
    env = environment()
    env["PATH"] = f"{tmp_path}:{env['PATH']}"
    done = subprocess.run(
        [str(ROOT / ".ci/compare"), "HEAD"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stderr
    comment = (tmp_path / "comparison.md").read_text()
    assert "## Metrics against HEAD" in comment and "| a | b |" in comment
    assert ("held-out loss 2.0 -> 2.5" in comment) == bool(status)


def test_workflows_call_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    called = set()
    for workflow in (ROOT / ".github/workflows").glob("*.yml"):
        content = yaml.safe_load(workflow.read_text())
        for job in content["jobs"].values():
            for step in job["steps"]:
                called |= set(re.findall(r"make ([a-z-]+)", step.get("run", "")))
    assert called and called <= targets


def test_the_paper_setting_names_keys_that_params_has() -> None:
    printed = subprocess.run(
        ["make", "-n", "paper", "ARGS=--dry"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "-S tune.all=true" in printed.stdout, "rates follow the setting"
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    keys = re.findall(r"-S '?([a-z_]+)\.([a-z_]+)=", printed.stdout)
    assert {("lora", "r"), ("prefix", "virtual_tokens"), ("qaa", "up_projection"), ("train", "steps")} <= set(keys)
    assert all(key in params[section] for section, key in keys)
    assert re.search(r"data\.revision=[0-9a-f]{40} ", printed.stdout), "the data set is pinned by a commit"
    assert re.search(r"language_model\.revision=[0-9a-f]{40} ", printed.stdout)


def test_the_study_has_every_declared_control_of_what_it_compares() -> None:
    printed = subprocess.run(["make", "-n", "study"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    listed = re.search(r"'methods=\[([a-z0-9_,]+)\]'", printed).group(1).split(",")
    assert len(set(listed)) == len(listed) and {"base", "qaa", "qaa_frozen"} <= set(listed) <= set(methods.names())
    assert {control for method in listed for control in methods.controls(method)} <= set(listed)
