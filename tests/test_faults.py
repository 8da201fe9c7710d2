"""Nothing is lost: processes are killed, disks fill up, folders turn read-only, and the same command ends the same way.

KETUNE_KILLS sets how many random moments are tried (2 by default, to keep the suite short).
"""

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from conftest import Project, environment
from ketune import records

KILLS = int(os.environ.get("KETUNE_KILLS", "2"))


@pytest.fixture(scope="module")
def done(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """An undisturbed run, long enough to be killed in the middle."""
    project = Project(tmp_path_factory.mktemp("project"), tiny_folder, ["base", "qaa"], [0])
    params = project.params()
    project.write_params(params | {"train": params["train"] | {"steps": 60, "checkpoint_every": 7}})
    project.run("dvc", "repro")
    project.commit("results")
    return project


def outputs(project: Project) -> dict[str, str]:
    """path → digest of what the training of QAA left, but for its times."""
    lock = yaml.safe_load((project.folder / "dvc.lock").read_text())["stages"]["train@qaa-0"]
    return {out["path"]: out["md5"] for out in lock["outs"] if not out["path"].startswith("data/costs")}


def new_point(project: Project, steps: int) -> None:
    """A number of steps that was never run, so that nothing can be restored from DVC's run cache."""
    params = project.params()
    project.write_params(params | {"train": params["train"] | {"steps": steps}})


def start(project: Project) -> subprocess.Popen:
    """Begin the training, in a process group of its own."""
    return subprocess.Popen(
        ["dvc", "repro", "train@qaa-0"], cwd=project.folder, env=environment(),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


def finish_and_compare(project: Project) -> None:
    """The same command ends the run, and an undisturbed run of the same point has the same bytes."""
    output = project.run("dvc", "repro", "train@qaa-0")
    assert "Running stage 'train@qaa-0'" in output and "Traceback" not in output
    disturbed = outputs(project)
    assert not any((project.folder / ".cache/checkpoints").iterdir()), "checkpoints go when the run ends well"
    project.run("dvc", "repro", "--force", "--single-item", "train@qaa-0")
    assert outputs(project) == disturbed


def stage_processes(project: Project) -> list[int]:
    """Ids of living stage processes of this project."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                command = (entry / "cmdline").read_bytes()
                if b"stages/" in command and (entry / "cwd").resolve() == project.folder:
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def wait_for(condition, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="watches processes through /proc")
@pytest.mark.parametrize("number", range(KILLS))
@pytest.mark.parametrize("victim", ["dvc", "stage"])
def test_a_killed_run_ends_with_the_same_bytes(done: Project, number: int, victim: str) -> None:
    new_point(done, 61 + 2 * number + (victim == "dvc"))
    process = start(done)
    assert wait_for(lambda: stage_processes(done), 60), "the stage never started"
    if number:  # the first time as soon as it starts; else somewhere in training
        assert wait_for(lambda: list((done.folder / ".cache/checkpoints").glob("*/checkpoint-*")), 90)
    time.sleep(random.Random(f"{victim}{number}").uniform(0.0, 0.5))
    for victim_id in [process.pid] if victim == "dvc" else stage_processes(done):
        os.kill(victim_id, signal.SIGKILL)
    process.communicate(timeout=120)
    assert wait_for(lambda: not stage_processes(done), 10), "the stage outlived the kill"
    finish_and_compare(done)


def test_a_torn_checkpoint_of_a_killed_run_does_not_block(done: Project) -> None:
    new_point(done, 90)
    process = start(done)
    checkpoints = done.folder / ".cache/checkpoints"
    assert wait_for(lambda: len(list(checkpoints.glob("*/checkpoint-*/seal.json"))) >= 2, 90)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    last = max(checkpoints.glob("*/checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    (last / "optimizer.pt").unlink(missing_ok=True)
    finish_and_compare(done)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), PermissionError(13, "Permission denied")])
def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    path = tmp_path / "a.json"
    records.write_json(path, {"old": True})

    def fail(_: int) -> None:
        raise error

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=error.strerror):
        records.write_json(path, {"new": True})
    assert records.read_json(path) == {"old": True} and os.listdir(tmp_path) == ["a.json"]


def stage_alone(project: Project, *command: str, **more: object) -> subprocess.CompletedProcess:
    """A stage without DVC, as a user may run it by hand."""
    env = environment() | {"PYTHONPATH": "src"}
    return subprocess.run(["python", *command], cwd=project.folder, env=env, capture_output=True, text=True,
                          timeout=120, check=False, **more)  # fmt: skip


FULL_DISK = "ulimit -f 1; exec python stages/score.py qaa 0"  # files of at most 1 KiB, as on a disk that is full


def test_a_full_disk_is_one_sentence_and_the_old_result_stays(done: Project) -> None:
    old = (done.folder / "data/scores/qaa-0.json").read_bytes()
    env = environment() | {"PYTHONPATH": "src", "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(
        ["bash", "-c", FULL_DISK], cwd=done.folder, env=env, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1, result.stderr
    assert "File too large" in result.stderr and "Traceback" not in result.stderr
    assert (done.folder / "data/scores/qaa-0.json").read_bytes() == old
    assert not list((done.folder / "data/scores").glob(".partial-*"))


def test_ctrl_c_ends_a_stage_with_one_sentence(done: Project) -> None:
    new_point(done, 120)
    process = subprocess.Popen(["python", "stages/train.py", "qaa", "0"], cwd=done.folder, text=True,
                               env=environment() | {"PYTHONPATH": "src"}, stderr=subprocess.PIPE)  # fmt: skip
    checkpoints = done.folder / ".cache/checkpoints"
    assert wait_for(lambda: list(checkpoints.glob("*/checkpoint-*/seal.json")), 90)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "run the same command again" in errors and "Traceback" not in errors
    shutil.rmtree(checkpoints)


@pytest.mark.parametrize(
    "command",
    ["score qaa", "score qaa x", "score nosuch 0", "score qaa 0 1", "prepare now", "report x", "search", "search a b"],
)
def test_wrong_arguments_are_one_sentence(done: Project, command: str) -> None:
    stage, *arguments = command.split()
    result = stage_alone(done, f"stages/{stage}.py", *arguments)
    assert result.returncode == 1 and "Traceback" not in result.stderr
