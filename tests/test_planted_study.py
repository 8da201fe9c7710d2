"""A small planted study from end to end: what is said of a circuit that made the records, and of angles elsewhere.

`make planted` has every control, more seeds, more steps and more trials.
"""

import shutil
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from conftest import ROOT, environment
from ketune.ground import files, params
from ketune.report import calibration

ARMS = {"base", "lora_matched", "qaa", "qaa_frozen"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that knows few methods, with a study that asks for one verdict too many."""
    folder = tmp_path_factory.mktemp("planted") / "project"
    for name in ("src", "stages"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("dvc.yaml", "params.yaml", ".gitignore"):
        shutil.copy(ROOT / name, folder / name)
    for file in (folder / "src/ketune/methods").glob("[a-z]*.py"):
        if file.stem not in ARMS:
            file.unlink()
    base = folder / "src/ketune/methods/base.py"  # controls of methods that are not there would be refused
    base.write_text(base.read_text().replace('control_of=("qaa", "qtha", "quantum_peft")', 'control_of=("qaa",)'))
    settings = params.read(folder / "stages/planted.yaml")
    settings["studies"] = {"circuit": settings["studies"]["circuit"] | {"judged": {"qaa": True, "qaa_frozen": True}}}
    settings["sizes"] |= {"records": 500}
    settings["params"]["train"] |= {"steps": 60, "warmup_steps": 3}
    settings["params"]["tune"] |= {"trials": 2, "refined": 0, "confirmed": 2}
    settings["params"]["generate"] |= {"prompts": 1, "likelihood_records": 40}
    settings["params"]["seeds"] = list(range(6))  # the fewest that can confirm a word
    YAML().dump(settings, folder / "stages/planted.yaml")
    commit(folder)
    return folder


def commit(folder: Path, path: str = ".") -> None:
    author = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    for command in (("init", "-q"), ("add", path), (*author, "commit", "-q", "-m", "start")):
        git(folder, *command)


def git(folder: Path, *command: str) -> str:
    return subprocess.run(["git", *command], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def run(project: Path, *studies: str) -> subprocess.CompletedProcess[str]:
    return python(project, "stages/planted.py", *studies)


def python(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command, variables = ["python", *arguments], environment() | {"PYTHONPATH": "src"}
    return subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True, timeout=600, check=False)


def test_the_pipeline_finds_a_planted_circuit_and_says_where_it_is_wrong(project: Path) -> None:
    done = run(project)
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "circuit, right: QAA: the circuit contributes" in said
    assert "circuit, WRONG: QAA, frozen angles: that the circuit contributes is not shown" in said
    study = files.read_json(project / "reports/planted/circuit.json", calibration.PlantedStudy)
    trained, frozen = study.verdicts
    assert trained.right and not frozen.right
    assert trained.loss < frozen.loss - 0.2 and trained.loss < study.teacher_loss + 0.2 < study.base_loss
    assert max(trained.angle_errors) < 0.2 < min(frozen.angle_errors)
    assert {lead.control for lead in trained.differences} == ARMS - {"qaa"}
    assert study.revision == git(project, "rev-parse", "HEAD")
    assert study.search == {"trials": 2, "refined": 0, "confirmed": 2, "horizon": 1.0}
    assert (project / ".cache/planted/circuit/reports/index.html").is_file()
    assert not (project / "data").exists(), "the project's own outputs are untouched"


def test_an_unknown_study_is_refused(project: Path) -> None:
    done = run(project, "cirucit")
    assert done.returncode == 1
    assert "'cirucit' is no study; stages/planted.yaml has circuit. Did you mean 'circuit'?" in done.stderr


MORE_THAN_CORES = """
import sys
from pathlib import Path
from ketune import planted_study
planted_study.run_one = lambda name, *_: Path(sys.argv[1], name).touch() if name != "4" else sys.exit(3)
planted_study.side_by_side([str(number) for number in range(5)], "", None)
"""


def test_more_studies_than_cores_all_run_and_a_failure_ends_them(project: Path, tmp_path: Path) -> None:
    done = python(project, "-c", MORE_THAN_CORES, str(tmp_path))
    assert done.returncode == 1 and "a study failed, status 3" in done.stderr
    assert {file.name for file in tmp_path.iterdir()} == set("0123")


REVISIONS = """
import os, sys
from ketune import planted_study
for folder in sys.argv[1:]:
    os.chdir(folder)
    print(f"{planted_study.revision()}|")
"""


def test_the_commit_of_the_code_is_told_where_git_knows_one(project: Path, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("committed", "changed", "new", "untracked", "alone")]
    for folder in folders:
        files.write_text(folder / "src/code.py", "1")
        files.write_text(folder / "stages/stage.py", "1")
        files.write_text(folder / "dvc.yaml", "stages: {}")
    committed, changed, new, untracked, _ = folders
    commit(committed)
    commit(changed)
    files.write_text(changed / "src/code.py", "2")
    git(new, "init", "-q")
    files.write_text(untracked / "README.md", "a repository of something else")
    commit(untracked, "README.md")
    done = python(project, "-c", REVISIONS, *map(str, folders))
    heads = [git(folder, "rev-parse", "HEAD") for folder in (committed, changed)]
    assert done.stdout.split("|\n") == [heads[0], f"{heads[1]} with changes", "", "", "", ""], done.stderr
