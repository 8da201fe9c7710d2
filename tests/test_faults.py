"""Nothing is lost: processes are killed, disks fill up, folders turn read-only, and the same command ends the same way.

KETUNE_KILLS sets how many kills of each kind are tried; the default keeps the suite short, 12 tries every pair of a
stage and a victim, and 99 kills every stage at every one of its writes.
"""

import contextlib
import errno
import hashlib
import itertools
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from conftest import ROOT, Project, environment
from ketune import adapters, weights
from ketune.ground import faults, files, process
from ketune.ground.errors import InputError
from ketune.records.training import ParameterCounts, TrainingRecord

KILLS = int(os.environ.get("KETUNE_KILLS", "2"))
STAGES = ["train@qaa-0", "generate@qaa-0", "report", "score@qaa-0"]
VICTIMS = ["dvc", "stage", "machine"]


@pytest.fixture
def project(done: Project) -> Iterator[Project]:
    """The finished project, brought back afterwards to where it was."""
    yield done
    done.restore()
    shutil.rmtree(done.folder / ".cache", ignore_errors=True)


def new_point(project: Project, stage: str, number: int) -> None:
    """A value that was never run and that only `stage` and what follows it depend on, with all before it up to date.

    So nothing can be restored from DVC's run cache.
    """
    section, key = {"train": ("train", "steps"), "report": ("report", "regression")}.get(
        stage.partition("@")[0], ("generate", "max_new_tokens")
    )
    params = project.params()
    changed = params[section] | {key: params[section][key] + 60 + number}
    project.write_params(params | {section: changed | ({"checkpoint_every": 7} if section == "train" else {})})
    if stage.startswith("score"):
        project.run("dvc", "repro", stage.replace("score", "generate"))


def outputs(project: Project, stage: str) -> dict[str, str]:
    """path → digest of what the stage left, but for its times."""
    lock = yaml.safe_load((project.folder / "dvc.lock").read_text())["stages"][stage]
    return {out["path"]: out["md5"] for out in lock["outs"] if not out["path"].startswith("data/costs")}


def start(project: Project, stage: str) -> subprocess.Popen:
    """Begin the stage under DVC, in a process group of its own."""
    return subprocess.Popen(
        ["dvc", "repro", stage], cwd=project.folder, env=environment(cold=True),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


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


def wait_for(condition: Callable[[], object], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def kill(project: Project, stage: str, victim: str, after: float) -> bool:
    """Kill `victim` `after` seconds into the stage; False if the stage was faster."""
    running = start(project, stage)
    assert wait_for(lambda: stage_processes(project), 120), "the stage never started"
    time.sleep(after)
    with contextlib.suppress(ProcessLookupError):
        if victim == "machine":
            os.killpg(running.pid, signal.SIGKILL)
        for number in [running.pid] if victim == "dvc" else stage_processes(project):
            os.kill(number, signal.SIGKILL)
    running.communicate(timeout=120)
    assert wait_for(lambda: not stage_processes(project), 10), "the stage outlived the kill"
    return running.returncode != 0


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="watches processes through /proc")
@pytest.mark.parametrize("number", range(KILLS))
def test_a_kill_at_any_time_changes_no_byte(project: Project, number: int) -> None:
    stage, victim = STAGES[number % len(STAGES)], VICTIMS[number % len(VICTIMS)]
    after = random.Random(number).uniform(0.0, 8.0)
    for attempt in itertools.count():
        new_point(project, stage, 10 * number + attempt)
        if kill(project, stage, victim, after):
            break
        after /= 2
    output = project.run("dvc", "repro", stage)
    # where only dvc's own bookkeeping was lost, the run cache restores the stage
    assert f"Running stage '{stage}'" in output or f"Stage '{stage}' is cached" in output
    assert "Traceback" not in output
    disturbed = outputs(project, stage)
    checkpoints = project.folder / ".cache/checkpoints"
    assert not checkpoints.exists() or not any(checkpoints.iterdir()), "checkpoints go when the run ends well"
    project.run("dvc", "repro", "--force", "--single-item", stage)
    assert outputs(project, stage) == disturbed


def content(project: Project) -> dict[str, str]:
    """path → digest of all that stages wrote, but for times; no half-written file may be there."""
    files = [f for name in ("data", "reports") for f in (project.folder / name).rglob("*") if f.is_file()]
    assert not [f for f in files if ".partial-" in str(f)]
    return {
        str(f.relative_to(project.folder)): hashlib.md5(f.read_bytes()).hexdigest()
        for f in files
        if f.parent.name != "costs"
    }


def stage_alone(project: Project, *command: str, **more: object) -> subprocess.CompletedProcess:
    """A stage without DVC, as a user may run it by hand."""
    env = environment() | {"PYTHONPATH": "src", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(["python", *command], cwd=project.folder, env=env, capture_output=True, text=True,
                          timeout=120, check=False, **more)  # fmt: skip


# stage → a write in the middle of its work; where every write is tried, they are counted first
WRITES = {"train.py qaa 0": 9, "generate.py qaa 0": 4, "score.py qaa 0": 1, "report.py": 6, "prepare.py": 3}


@pytest.mark.parametrize("command", WRITES)
def test_a_kill_at_a_write_leaves_nothing_torn(project: Project, command: str) -> None:
    stage, *arguments = f"stages/{command}".split()
    before = content(project)
    dying = str(ROOT / "tests/dying.py")
    writes = [WRITES[command]]
    if KILLS == 99:
        counted = stage_alone(project, dying, "-1", stage, *arguments)
        writes = list(range(1, int(counted.stdout.split()[-1]) + 1))
    for write in writes:
        killed = stage_alone(project, dying, str(write), stage, *arguments)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        again = stage_alone(project, stage, *arguments)
        assert again.returncode == 0 and content(project) == before, f"write {write}: {again.stderr}"


def test_a_run_that_is_killed_while_it_is_saved_trains_nothing_again(project: Project) -> None:
    stage, before = ["stages/train.py", "qaa", "0"], content(project)
    dying = str(ROOT / "tests/dying.py")
    writes = stage_alone(project, dying, "-1", *stage).stdout.split()[-1]  # the last puts the run's cost in place
    assert stage_alone(project, dying, writes, *stage).returncode == -signal.SIGKILL
    again = stage_alone(project, *stage)
    assert again.returncode == 0 and content(project) == before, again.stderr
    record = files.read_json(project.folder / "data/costs/qaa-0.json", TrainingRecord)
    assert record.resumed_from == project.params()["train"]["steps"] and record.cost.tokens_per_second is None
    assert not any((project.folder / ".cache/checkpoints").iterdir())


@pytest.mark.parametrize(
    ("block", "changes", "sentence"),
    [
        ("generate", {"prompts": 1000}, "generate.prompts: the test split has 14 records, and 1000 are needed"),
        ("generate", {"likelihood_records": 99}, "generate.likelihood_records: the test split has 14 records"),
        ("data", {"validation_fraction": 0.001}, "or raise data.validation_fraction."),
        ("train", {"max_tokens": 513}, "train.max_tokens: 513, but the model has 512 positions; lower it."),
        ("generate", {"max_new_tokens": 500}, "tokens are more than the model's 512 positions; lower it, or train.max"),
    ],
)
def test_what_cannot_be_prepared_is_one_sentence(project: Project, block: str, changes: dict, sentence: str) -> None:
    before, given = content(project), project.params()
    given[block] |= changes
    project.write_params(given)
    result = stage_alone(project, "stages/prepare.py")
    assert result.returncode == 1 and result.stderr.count("\n") == 1 and sentence in result.stderr, result.stderr
    assert content(project) == before


@pytest.fixture
def mounted(done: Project, tmp_path: Path) -> Iterator[Project]:
    """The finished project on a file system of its own, 64 MB large."""
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", tmp_path]).returncode:
        pytest.skip("file systems cannot be mounted here")
    yield done.copy(tmp_path / "project")
    subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.parametrize("command", WRITES)
def test_a_full_disk_is_one_sentence_and_results_stay(mounted: Project, command: str) -> None:
    stage, *arguments = f"stages/{command}".split()
    before = content(mounted)
    left = 16 * 1024 if "train" in stage else 0  # training then fails within a checkpoint
    with (mounted.folder / "filling").open("wb") as file:
        file.write(bytes(shutil.disk_usage(mounted.folder).free - left))
    result = stage_alone(mounted, stage, *arguments)
    assert result.returncode == 1 and "Traceback" not in result.stderr, result.stderr
    assert "mend it and run again" in result.stderr.splitlines()[-1]
    if "report" not in stage:  # which writes several files, each of them whole
        assert content(mounted) == before


@pytest.mark.parametrize("command", WRITES)
def test_a_read_only_folder_is_one_sentence_and_results_stay(mounted: Project, command: str) -> None:
    before = content(mounted)
    subprocess.run(["mount", "-o", "remount,ro", mounted.folder.parent], check=True)
    result = stage_alone(mounted, *f"stages/{command}".split())
    assert result.returncode == 1 and "Traceback" not in result.stderr, result.stderr
    assert "Read-only file system" in result.stderr.splitlines()[-1]
    assert content(mounted) == before


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0"), "full or forbids"),
        (RuntimeError("basic_ios::clear: iostream error"), "full or forbids"),
        (Exception("Permission denied (os error 13)"), "Permission denied"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"), "out of memory"),
        (MemoryError(), "batch_size"),
        (RuntimeError("unable to mmap 9 bytes from <model.safetensors>: Cannot allocate memory"), "out of memory"),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), "out of memory"),
        (RuntimeError("std::bad_alloc"), "out of memory"),
        (OSError(12, "Cannot allocate memory"), "out of memory"),
        (PermissionError(13, "Permission denied", "a/b"), "a/b"),
        (KeyError("a defect"), None),
        (FileNotFoundError(2, "No such file", "a/b"), "No such file (a/b)"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (ConnectionRefusedError(111, "Connection refused"), None),
    ],
)
def test_faults_of_the_machine_are_told_from_defects(error: Exception, words: str | None) -> None:
    told = faults.of_machine(error)
    assert (told is None) == (words is None) and (words is None or words in told)


@pytest.mark.parametrize(
    ("stage", "kilobytes"),
    [("train.py qaa 0", 500_000), ("generate.py qaa 0", 600_000), ("report.py", 430_000), ("report.py", 480_000)],
)
def test_too_little_memory_is_one_sentence(done: Project, stage: str, kilobytes: int) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (1024 * kilobytes,) * 2)

    result = subprocess.run(["python", *f"stages/{stage}".split()], cwd=done.folder, capture_output=True, text=True,
                            env=environment(cold=True) | {"PYTHONPATH": "src"}, timeout=60, check=False,
                            preexec_fn=limit)  # fmt: skip
    assert result.returncode == 1 and result.stderr.count("\n") == 1 and "out of memory" in result.stderr


def test_a_thread_without_memory_ends_the_stage(tmp_path: Path) -> None:
    script = (
        "from ketune.ground import process\nimport threading, time\n"
        "def fail():\n    raise MemoryError\n"
        "threading.Thread(target=fail).start()\ntime.sleep(60)\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False,
                            env=os.environ | {"PYTHONPATH": str(ROOT / "src")})  # fmt: skip
    assert result.returncode == 1 and "out of memory" in result.stderr


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), PermissionError(13, "Permission denied")])
@pytest.mark.parametrize(
    "write", [files.write_json, lambda path, row: files.write_csv(path, ParameterCounts, [ParameterCounts(**row)])]
)
def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, write: Callable[[Path, dict[str, int]], None]
) -> None:
    path = tmp_path / "a"
    write(path, {"total": 3, "trainable": 2, "receiving": 1})
    before = path.read_bytes()

    def fail(_: int) -> None:
        raise error

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=error.strerror):
        write(path, {"total": 3, "trainable": 2, "receiving": 0})
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["a"]


def test_ctrl_c_ends_a_stage_with_one_sentence(project: Project) -> None:
    new_point(project, "train", 120)
    running = subprocess.Popen(
        ["python", "stages/train.py", "qaa", "0"], cwd=project.folder, text=True, stderr=subprocess.PIPE,
        env=environment(cold=True) | {"PYTHONPATH": "src"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
    )  # fmt: skip
    checkpoints = project.folder / ".cache/checkpoints"
    assert wait_for(lambda: list(checkpoints.glob("*/checkpoint-*/seal.json")), 90)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130 and "run the same command again" in errors and "Traceback" not in errors


@pytest.mark.parametrize(
    ("parse", "arguments"),
    [(process.method_and_seed, "qaa"), (process.method_and_seed, "qaa x"), (process.method_and_seed, "qaa 0 1"),
     (process.method, ""), (process.method, "a b"), (process.no_arguments, "now")],
)  # fmt: skip
def test_arguments_that_a_stage_does_not_take_are_named(parse: Callable, arguments: str) -> None:
    with pytest.raises(InputError, match=f"'{arguments}': "):
        parse(arguments.split())


@pytest.mark.parametrize("arguments", [["nosuch", "0"], ["qaa", "0", "1"]])
def test_wrong_arguments_are_one_sentence(done: Project, arguments: list[str]) -> None:
    result = stage_alone(done, "stages/score.py", *arguments)
    assert result.returncode == 1 and "Traceback" not in result.stderr and result.stderr.count("\n") == 1


@pytest.mark.parametrize("loading", [lambda: weights._refusing("a model"), lambda: adapters._one_sentence(Path("a"))])
def test_what_the_machine_refuses_is_not_told_of_what_is_loaded(loading: Callable) -> None:
    for error in (MemoryError(), OSError(errno.ENOSPC, "No space left on device", "file")):
        with pytest.raises(type(error)), loading():
            raise error
        with pytest.raises(ValueError, match=r"^from it$"), loading():
            raise ValueError("from it") from error
    with pytest.raises(InputError, match="cannot be loaded"), loading():
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "file")
