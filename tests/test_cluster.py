"""The Slurm recipe, run by a real Slurm of one node; skipped where none is installed."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from conftest import Project, environment

NEEDED = ("sbatch", "slurmctld", "slurmd", "munged")
CONFIGURATION = """
ClusterName=ketune
SlurmctldHost={host}
SlurmctldPort={port}
SlurmdPort={next_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
NodeName={host} CPUs={cores} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES State=UP
"""

pytestmark = [
    pytest.mark.skipif(
        not all(map(shutil.which, NEEDED)), reason=f"Slurm ({', '.join(NEEDED)}) is not installed on this machine"
    ),
    pytest.mark.skipif(os.getuid() != 0, reason="a Slurm of its own is started by root alone"),
]


def free_port() -> int:
    """The first of two ports in a row that nobody listens on."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("", 0))
            port = one.getsockname()[1]
            try:
                two.bind(("", port + 1))
            except OSError:
                continue
            return port


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cluster of this machine alone, as long as a test lasts; the commands of Slurm find it by SLURM_CONF."""
    folder, host, port = tmp_path / "slurm", socket.gethostname().partition(".")[0], free_port()
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    folder.chmod(0o755)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    file = folder / "slurm.conf"
    file.write_text(
        CONFIGURATION.format(folder=folder, host=host, port=port, next_port=port + 1, cores=os.cpu_count()).lstrip()
    )
    monkeypatch.setenv("SLURM_CONF", str(file))
    files = {name: f"--{name}={folder}/munge.{name}" for name in ("socket", "pid-file", "log-file", "seed-file")}
    munge = ["munged", "--force", "--foreground", f"--key-file={key}", *files.values()]
    started: list[subprocess.Popen] = []
    try:
        for command in (munge, ["slurmctld", "-D"], ["slurmd", "-D"]):
            started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        wait(lambda: "idle" in tell("sinfo", "--noheader", "--format=%T"), "a node that is idle")
        yield
    finally:
        for process in reversed(started):
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def tell(*command: str) -> str:
    """What a command of Slurm prints; nothing where it fails, as while the cluster comes up."""
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout


def wait(condition, wanted: str, seconds: float = 300.0) -> None:
    """Until `condition` holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{wanted}: not in {seconds:.0f} s\n{tell('scontrol', 'show', 'jobs')}"
        time.sleep(0.2)


def submit(project: Project, tasks: str, stage: str = "score") -> str:
    """The number of an array of the recipe."""
    command = ["sbatch", "--parsable", "--mem=0", "--cpus-per-task=1", f"--array={tasks}", "stages/cluster/slurm.sh"]
    done = subprocess.run(command, cwd=project.folder, env=environment() | {"STAGE": stage}, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def states(job: str) -> dict[str, str]:
    """Task → state, from Slurm's own record of the job."""
    lines = tell("squeue", f"--jobs={job}", "--array", "--states=all", "--noheader", "--format=%K %T").splitlines()
    return dict(line.split() for line in lines)


def ended(job: str) -> bool:
    """Whether every task of the job has ended, in whatever way."""
    found = states(job)
    return bool(found) and not set(found.values()) & {"PENDING", "RUNNING", "COMPLETING", "CONFIGURING"}


def results(project: Project) -> dict[str, str]:
    """Output → hash, of every adapter, prediction and curve; measured costs and what holds them differ by nature."""
    lock = yaml.safe_load((project.folder / "dvc.lock").read_text())["stages"]
    outs = [out for stage in lock.values() for out in stage.get("outs", ())]
    return {out["path"]: out["md5"] for out in outs if "costs" not in out["path"] and "reports/" not in out["path"]}


def test_an_array_killed_and_submitted_again_equals_one_repro(finished: Project, tmp_path: Path, slurm: None) -> None:
    project = finished.copy(tmp_path / "project")
    tuned = {"learning_rates": {"projection": "tuned", "angles": 0.05}}
    params = project.params()
    params |= {"seeds": [0, 1], "qaa": params["qaa"] | tuned, "train": params["train"] | {"steps": 400}}
    project.write_params(params)
    (project.folder / ".venv/bin").mkdir(parents=True)
    (project.folder / ".venv/bin/activate").write_text("")
    project.commit("a study of two seeds")
    alone = project.clone(tmp_path / "alone")
    project.run("dvc", "repro", "-q", "prepare")
    project.commit("prepared")

    searched = submit(project, "0-1", "tune")
    wait(lambda: ended(searched), "the end of the searches")
    assert set(states(searched).values()) == {"COMPLETED"}, logs(project)
    first = submit(project, "0-3")  # base and qaa, seeds 0 and 1: task 2 is the first that trains
    wait(
        lambda: list((project.folder / ".cache/checkpoints").glob("*/checkpoint-*/seal.json")), "a checkpoint of task 2"
    )
    subprocess.run(["scancel", "--signal=KILL", "--full", f"{first}_2"], check=True)
    wait(lambda: ended(first), "the end of the array")
    killed = states(first).pop("2")
    assert killed in ("FAILED", "CANCELLED"), logs(project)
    assert states(first) == {str(task): killed if task == 2 else "COMPLETED" for task in range(4)}, logs(project)
    again = submit(project, "2")
    wait(lambda: ended(again), "the end of the task that was submitted again")
    assert states(again) == {"2": "COMPLETED"}, logs(project)
    numbers = {"tune": searched, "score": first, "score, task 2 again": again}
    accounts = {name: states(job) for name, job in numbers.items()}

    assert project.stages_run("dvc", "repro") <= {"report"}
    alone.run("dvc", "repro", "-q")
    assert results(project) == results(alone)
    record = json.loads((project.folder / "data/costs/qaa-0.json").read_text())
    assert record["resumed_from"] > 0
    if target := os.environ.get("KETUNE_SLURM_RECORD"):
        Path(target).write_text(page(numbers, accounts, results(project), record["resumed_from"]))


def page(numbers: dict[str, str], accounts: dict[str, dict[str, str]], equal: dict[str, str], resumed_from: int) -> str:
    """What Slurm accounted for, and which outputs equalled those of `dvc repro` alone."""
    version, day = tell("sinfo", "--version").strip(), time.strftime("%Y-%m-%d")
    rows = [f"| {numbers[name]} | {name} | {task} | {state} |"
            for name, found in accounts.items() for task, state in sorted(found.items())]  # fmt: skip
    hashes = [f"| {path} | {md5} |" for path, md5 in sorted(equal.items())]
    return "\n".join([
        "# The array recipe on a real Slurm",
        "",
        f"{version} on one machine, {day}: a tiny study of two methods and two seeds, its search an array of its own.",
        f"Task 2 was killed after a checkpoint and submitted again; it went on from step {resumed_from}. States are",
        "Slurm's own accounting.",
        "Written by `KETUNE_SLURM_RECORD=$PWD/reports/benchmarks/slurm.md pytest tests/test_cluster.py`.",
        "",
        "| job | array | task | state |", "|---|---|---|---|", *rows,
        "",
        "Outputs of the array, each equal to that of `dvc repro` in a clone of its own:",
        "",
        "| output | MD5 |", "|---|---|", *hashes,
        "",
    ])  # fmt: skip


def logs(project: Project) -> str:
    """What the tasks said."""
    return "\n".join(f"{file.name}:\n{file.read_text()}" for file in sorted(project.folder.glob("slurm-*.log")))
