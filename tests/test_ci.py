"""What CI runs: the comparison with a base revision, and the commands that the Makefile offers."""

import os
import re
import shutil
import subprocess
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest
import yaml

from conftest import ROOT, Project, environment
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
    gone = ["qaa: had a held-out loss of 2.0 and has none here, so nothing was compared"]
    assert compare.gone(differences) == (gone if new is None else [])


def fake_dvc(folder: Path, metrics: str, params: str = "{}") -> None:
    """A `dvc` that answers as the real one does, for the script's own logic."""
    script = folder / "dvc"
    script.write_text(
        f"#!/bin/sh\ncase \"$*\" in\n*--dry*) exit 0;;\n*metrics*--json) echo '{metrics}';;\n"
        f"*params*--json) echo '{params}';;\n*) echo '| a | b |';;\nesac\n"
    )
    script.chmod(0o755)


def committed(folder: Path) -> None:
    """A repository of what lies in a folder."""
    for command in ("init -q", "add .", "-c user.name=a -c user.email=a@b commit -qm all"):
        subprocess.run(["git", *command.split()], cwd=folder, env=environment(), check=True)


def judged(folder: Path, base: str = "HEAD") -> tuple[int, str, str]:
    """The script's status, what it writes to comparison.md and what to the standard error."""
    env = environment()
    env["PATH"] = f"{folder}:{env['PATH']}"
    done = subprocess.run(
        [str(ROOT / ".ci/compare"), base], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    comment = folder / "comparison.md"
    return done.returncode, comment.read_text() if comment.exists() else "", done.stderr


LOSS = '{{"reports/metrics/qaa.json": {{"loss": {{"old": 2.0, "new": {}}}}}}}'
LOCK = """stages:
  prepare:
    deps:
    - {path: data/mine.jsonl, md5: %s}
    - {path: data/neutral.jsonl, md5: %s}
    - {path: src/ketune/corpus.py, md5: %s}
    params: {params.yaml: {data: {retention: data/neutral.jsonl}}}
"""


@pytest.mark.parametrize(("new", "status"), [("2.01", 0), ("2.5", 1), ("null", 0)])
def test_the_script_judges_and_writes_the_comment(tmp_path: Path, new: str, status: int) -> None:
    fake_dvc(tmp_path, LOSS.format(new))
    (tmp_path / "params.yaml").write_text("report: {regression: 0.02}\n")
    committed(tmp_path)
    found, comment, errors = judged(tmp_path)
    assert found == status, errors
    assert "## Metrics against HEAD" in comment and "| a | b |" in comment
    assert ("held-out loss 2.0 -> 2.5" in comment) == bool(status)
    assert ("nothing was compared" in comment) == (new == "null")


@pytest.mark.parametrize(
    ("changed", "digests", "named"),
    [
        ("data.source", "abc", "data.source"),
        ("language_model.name", "abc", "language_model.name"),
        ("generate.likelihood_records", "abc", "generate.likelihood_records"),
        ("train.steps", "xbc", "data/mine.jsonl"),
        ("train.steps", "axx", ""),
        ("data.retention", "abc", ""),
    ],
)
def test_losses_of_other_texts_or_of_another_model_get_no_verdict(
    changed: str, digests: str, named: str, tmp_path: Path
) -> None:
    fake_dvc(tmp_path, LOSS.format("2.5"), f'{{"params.yaml": {{"{changed}": {{"old": 1, "new": 2}}}}}}')
    (tmp_path / "params.yaml").write_text("report: {regression: 0.02}\n")
    (tmp_path / "dvc.lock").write_text(LOCK % tuple("abc"))
    committed(tmp_path)
    (tmp_path / "dvc.lock").write_text(LOCK % tuple(digests))
    found, comment, errors = judged(tmp_path)
    assert found == (0 if named else 1), errors
    assert ("held-out losses do not compare" in comment) == bool(named)
    assert f"as these differ: {named}." in comment or "held-out loss 2.0 -> 2.5" in comment


def test_a_change_is_judged_by_what_the_base_allows(tmp_path: Path) -> None:
    fake_dvc(tmp_path, LOSS.format("2.5"))
    (tmp_path / "params.yaml").write_text("report: {regression: 0.02}\n")
    committed(tmp_path)
    (tmp_path / "params.yaml").write_text("report: {regression: 9.0}\n")
    found, comment, _ = judged(tmp_path)
    assert found == 1 and "allowed +0.02" in comment and "here it is 9.0" in comment


def test_a_base_that_git_does_not_have_is_named(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("report: {regression: 0.02}\n")
    committed(tmp_path)
    found, comment, errors = judged(tmp_path, "nosuch")
    assert (found, comment) == (2, "") and errors.startswith("'nosuch' is no revision") and "whole history" in errors


@pytest.mark.parametrize(
    ("file", "before", "after", "found"),
    [
        ("requirements.lock", "torchmetrics==1.0 \\\n", "torchmetrics==1.1 \\\n", True),
        ("requirements.lock", "# a remark\n", "# another\n", False),
        ("pyproject.toml", '  "torch==2.13.0",\n', '  "torch==2.14.0",\n', True),
        ("pyproject.toml", 'test = ["pytest==9.2.0"]\n', 'test = ["pytest==9.3.0"]\n', False),
    ],
)
def test_another_pin_makes_every_stage_stale(
    file: str, before: str, after: str, found: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("requirements.lock", "pyproject.toml"):
        Path(name).write_text("")
    Path(file).write_text(before)
    for command in ("init -q", "add .", "-c user.name=a -c user.email=a@b commit -qm pins"):
        subprocess.run(["git", *command.split()], check=True)
    assert not compare.repinned("HEAD")
    Path(file).write_text(after)
    assert compare.repinned("HEAD") == found


def test_another_pin_runs_every_stage_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("report: {regression: 0.02}\n")
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(compare, "known", lambda base: True)
    monkeypatch.setattr(compare, "up_to_date", lambda: True)
    monkeypatch.setattr(compare, "dvc", lambda *command: "{}")
    monkeypatch.setattr(compare, "rerun", lambda *options: ran.append(options) or [])
    for pinned, said in ((False, "## Metrics"), (True, "Packages are pinned otherwise than in the base")):
        monkeypatch.setattr(compare, "repinned", lambda base, pinned=pinned: pinned)
        assert compare.main("HEAD") == 0 and Path("comparison.md").read_text().startswith(said)
    assert ran == [("--force",)]


class Workflow:
    """The steps of results.yml on this machine: a clone with the base branch, a `gh` that keeps what it is to post."""

    def __init__(self, project: Project, tools: Path) -> None:
        self.project, self.tools = project, tools
        for name in (".ci/compare", "Makefile", "pyproject.toml", "requirements.lock"):
            (project.folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, project.folder / name)
        project.commit("what CI needs")
        project.run("git", "remote", "add", "origin", str(project.folder))
        project.run("git", "fetch", "-q", "origin")
        project.run("git", "checkout", "-q", "-b", "proposed")
        (project.folder / ".venv").mkdir()
        (project.folder / ".venv/.ready").touch()  # the tests' own environment serves
        (tools / "gh").write_text('#!/bin/sh\n[ "$4" = --edit-last ] && exit 1\ncp "$5" "$POSTED"\n')
        (tools / "gh").chmod(0o755)
        self.posted, self.summary = tools / "posted.md", tools / "summary.md"

    def run(self) -> tuple[bool, list[str]]:
        """Whether every step that ran went well, and the names of those that ran."""
        ran, well = [], True
        for step in yaml.safe_load((ROOT / ".github/workflows/results.yml").read_text())["jobs"]["compare"]["steps"]:
            if "run" in step and self.holds(step.get("if", "success()"), well):
                ran.append(step["name"])
                well &= self.succeeds(step)
        return well, ran

    def holds(self, condition: str, well: bool) -> bool:
        """GitHub's conditions, as far as the workflow uses them."""
        there = (self.project.folder / "comparison.md").exists()
        for expression, value in (
            ("always()", True),
            ("success()", well),
            ("hashFiles('comparison.md') != ''", there),
            ("github.event.pull_request.head.repo.full_name == github.repository", True),
        ):
            condition = condition.replace(expression, str(value))
        assert re.fullmatch("(True|False)( && (True|False))*", condition), condition
        return "False" not in condition

    def succeeds(self, step: dict) -> bool:
        known = {"${{ github.base_ref }}": "main", "${{ github.token }}": "t", "${{ github.event.number }}": "7"}
        env = environment() | {"GITHUB_STEP_SUMMARY": str(self.summary), "POSTED": str(self.posted)}
        for key, value in step.get("env", {}).items():
            for expression, given in known.items():
                value = value.replace(expression, given)
            assert "${{" not in value, value
            env[key] = value
        env["PATH"] = f"{self.tools}:{env['PATH']}"
        return subprocess.run(["bash", "-e", "-c", step["run"]], cwd=self.project.folder, env=env, timeout=300,
                              check=False).returncode == 0  # fmt: skip


@pytest.fixture
def workflow(finished: Project, tmp_path: Path) -> Workflow:
    (tmp_path / "tools").mkdir()
    return Workflow(finished.copy(tmp_path / "project"), tmp_path / "tools")


STEPS = ["set up", "run what is out of date, compare, judge", "summary", "comment"]


def test_a_proposed_parameter_is_run_compared_and_posted(workflow: Workflow) -> None:
    params = workflow.project.params()
    workflow.project.write_params(params | {"generate": params["generate"] | {"max_new_tokens": 9}})
    workflow.project.commit("nine tokens")
    assert workflow.run() == (True, STEPS)
    posted = workflow.posted.read_text()
    assert posted == workflow.summary.read_text()
    assert "`dvc.lock` did not belong" in posted and "generate.max_new_tokens | 8" in posted and "No held-out" in posted


def test_a_pipeline_that_fails_is_posted_with_its_reason(workflow: Workflow) -> None:
    workflow.project.write_params(workflow.project.params() | {"seeds": [-1]})
    workflow.project.commit("an impossible seed")
    assert workflow.run() == (False, STEPS)
    assert "The pipeline failed" in workflow.posted.read_text() and "seeds[0]: -1" in workflow.posted.read_text()


def test_a_value_given_to_make_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text().replace(".ci/compare", "echo"))
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/.ready").touch()
    for name in ("pyproject.toml", "requirements.lock"):
        (tmp_path / name).touch()
    os.utime(tmp_path / ".venv/.ready")
    poison = "x'; touch planted; $(touch planted)"
    done = subprocess.run(["make", "compare", f"BASE={poison.replace('$', '$$')}"], cwd=tmp_path, capture_output=True,
                          text=True, check=True)  # fmt: skip
    assert poison in done.stdout and not (tmp_path / "planted").exists()


def test_bertscores_of_two_models_are_not_subtracted() -> None:
    rows = [f"| reports/metrics/qaa.json | {key:9} | 1.0 | 2.0 | 1.0 |" for key in ("bertscore", "bleu")]
    table = "\n".join(["| Path | Metric | HEAD | workspace | Change |", "|---|---|---|---|---|", *rows, ""])
    assert compare.comparable(table, "| params.yaml | train.steps | 40 | 80 |") == table
    left = compare.comparable(table, "| params.yaml | score.bert_model | minilm | roberta-large |")
    assert rows[0] not in left and rows[1] in left and "BERTScore is left out" in left


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
