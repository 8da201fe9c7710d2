"""Results shared between machines: an S3 API, a second clone, workers that meet in the cache, sweeps in a queue."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import yaml
from dvc.utils.hydra import apply_overrides
from moto.server import ThreadedMotoServer

from conftest import ROOT, Project, environment
from ketune import requeue
from ketune.ground.errors import InputError

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a real S3 API on this machine, with an empty bucket `ketune`."""
    for key, value in CREDENTIALS.items():
        monkeypatch.setenv(key, value)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    import boto3

    boto3.client("s3", endpoint_url=address).create_bucket(Bucket="ketune")
    yield address
    server.stop()


def test_a_second_machine_gets_everything_from_s3(done: Project, bucket: str, tmp_path: Path) -> None:
    done.run("dvc", "remote", "add", "--local", "-d", "store", "s3://ketune/cache")
    done.run("dvc", "remote", "modify", "--local", "store", "endpointurl", bucket)
    done.run("dvc", "push", "-q", "--run-cache")
    second = done.clone(tmp_path / "second")
    shutil.copy(done.folder / ".dvc/config.local", second.folder / ".dvc/config.local")
    second.run("dvc", "pull", "-q", "--run-cache")
    assert second.stages_run("dvc", "repro") == set()
    assert second.run("git", "status", "--porcelain") == ""
    assert (second.folder / "reports/index.html").read_bytes() == (done.folder / "reports/index.html").read_bytes()


@pytest.mark.parametrize("meeting", ["shared cache", "remote"])
def test_two_workers_at_once_and_the_project_restores_both(done: Project, tmp_path: Path, meeting: str) -> None:
    project = done.clone(tmp_path / "main")
    shutil.copytree(done.folder / ".dvc/cache", tmp_path / "cache")
    project.run("dvc", "config", "--local", "cache.dir", str(tmp_path / "cache"))
    steps = 5 if meeting == "remote" else 6
    params = project.params()
    project.write_params(params | {"train": params["train"] | {"steps": steps}})
    project.commit("new point")
    extra = {"KETUNE_PROJECT": str(project.folder)}
    if meeting == "remote":
        project.run("dvc", "remote", "add", "--local", "-d", "store", str(tmp_path / "store"))
        project.run("dvc", "checkout", "-q", "data/prepared", "data/model", "--allow-missing")
        project.run("dvc", "push", "-q", "prepare")
        project.run("dvc", "config", "--local", "--unset", "cache.dir")
    else:
        extra["KETUNE_CACHE"] = str(tmp_path / "cache")
    outputs: dict[str, str] = {}
    statuses: dict[str, int] = {}

    def work(branch: str) -> None:
        result = subprocess.run([str(ROOT / "stages/cluster/worker.sh"), branch], cwd=project.folder, text=True,
                                env=environment() | extra, capture_output=True, timeout=600, check=False)  # fmt: skip
        outputs[branch] = result.stdout + result.stderr
        statuses[branch] = result.returncode

    threads = [threading.Thread(target=work, args=(f"score@{method}-0",)) for method in ("base", "qaa")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == {"score@base-0": 0, "score@qaa-0": 0}, outputs
    assert all(output.count("Running stage 'train@") == 1 for output in outputs.values()), outputs
    pull = ["--pull"] if meeting == "remote" else []
    assert project.stages_run("dvc", "repro", *pull) <= {"report"}


def test_stages_side_by_side_are_what_one_repro_makes(done: Project, tmp_path: Path) -> None:
    one, both = done.clone(tmp_path / "one"), done.clone(tmp_path / "both")
    for project in (one, both):
        project.write_params(project.params() | {"seeds": [5]})
    told = both.run("make", "--file", "stages/cluster/local.mk", "--jobs", "2")
    assert told.count("Running stage 'train@") == 2 and told.count("Running stage 'report'") == 1
    one.run("dvc", "repro")
    for kind in ("adapters", "predictions", "scores"):
        ours, theirs = (stages(project, f"data/{kind}") for project in (both, one))
        assert ours == theirs and any("qaa-5" in path for path in ours)
    assert both.stages_run("dvc", "repro") == set()
    both.write_params(both.params() | {"methods": ["base", "$(touch injected)"]})
    assert "is no method's name" in both.run("make", "--file", "stages/cluster/local.mk", fails=True)
    assert not list(tmp_path.rglob("injected"))


def stages(project: Project, prefix: str) -> dict[str, str]:
    """Output → MD5, of the stages in dvc.lock whose outputs stand below a path."""
    lock = yaml.safe_load((project.folder / "dvc.lock").read_text())["stages"]
    outs = [out for stage in lock.values() for out in stage.get("outs", [])]
    return {out["path"]: out["md5"] for out in outs if out["path"].startswith(prefix)}


def test_a_sweep_in_the_queue_beside_a_repro_lands_in_the_table(done: Project) -> None:
    """Queued experiments run in temporary workspaces, which must find the environment, the model and the data."""
    before = done.params()
    done.run("dvc", "exp", "run", "--queue", "-S", "qaa.layers=2,3")
    done.run("dvc", "queue", "start", "-j", "2")
    done.write_params(before | {"seeds": [1]})
    expected = {f"{stage}@{method}-1" for stage in ("train", "generate", "score") for method in ("base", "qaa")}
    assert done.stages_run("dvc", "repro") == expected | {"report"}
    done.run("dvc", "queue", "logs", "--follow", task(done, 0))
    done.run("dvc", "queue", "logs", "--follow", task(done, 1))
    table = json.loads(done.run("dvc", "exp", "show", "--json"))
    found = {
        state["data"]["params"]["params.yaml"]["data"]["qaa"]["layers"]
        for line in table
        for experiment in line.get("experiments") or []
        for state in experiment["revs"]
    }
    assert found == {2, 3}
    done.restore()
    assert done.stages_run("dvc", "repro") == set() and done.params() == before


def test_a_task_whose_worker_was_killed_is_queued_again_and_lands(done: Project) -> None:
    before = done.params()
    again = (sys.executable, "-m", "ketune.requeue")
    assert "No task" in done.run(*again)
    done.run("dvc", "exp", "run", "--queue", "--name", "lost", "-S", "qaa.layers=5", "-S", "seeds=[3]")
    start_worker(done)
    assert until(lambda: processes(done, "exec-run")), done.run("dvc", "queue", "status")
    assert "a worker is active" in done.run(*again, fails=True)
    for process in processes(done, "queue-worker") + processes(done, "exec-run"):
        process.kill()
    assert until(lambda: " 0 active" in done.run("dvc", "queue", "status"))
    assert "Running" in done.run("dvc", "queue", "status"), "DVC does better now; is `make requeue` still needed?"
    code = done.folder / "stages/score.py"
    same = code.read_text()
    code.write_text(f"{same}# changed\n")
    assert "another stages/score.py than the workspace has" in done.run(*again, fails=True)
    code.write_text(same)
    done.write_params(before | {"qaa": before["qaa"] | {"layers": 2}})  # not what was queued, and not to be run
    told = done.run(*again)
    done.write_params(before)
    assert "--name lost --set-param=qaa.layers=5 --set-param=seeds=[3]" in told
    assert "Queued" in done.run("dvc", "queue", "status") and done.params() == before
    start_worker(done)
    assert until(lambda: processes(done, "exec-run"))
    done.run("dvc", "queue", "logs", "--follow", "lost")
    assert until(lambda: "Success" in done.run("dvc", "queue", "status"))
    done.run("dvc", "exp", "apply", "lost")
    assert done.params()["qaa"]["layers"] == 5 and done.params()["seeds"] == [3]
    assert (done.folder / "data/scores/qaa-3.json").exists()
    done.restore()


def test_what_a_task_had_is_written_as_dvc_takes_it(tmp_path: Path) -> None:
    params, new = tmp_path / "params.yaml", {"a": [{"b": None}]}
    before = {"qaa": {"layers": 1, "rates": {"projection": 0.1}, "gone": 2}, "seeds": [0]}
    after = {"qaa": {"layers": 1, "rates": {"projection": 0.1, "bias": "tuned"}}, "seeds": [3], "new": new}
    assert list(requeue.changes(before, before)) == []
    found = list(requeue.changes(before, after))
    assert found == ['+qaa.rates.bias="tuned"', "~qaa.gone", "seeds=[3]", "+new={a: [{b: null}]}"]
    params.write_text(yaml.safe_dump(before))
    apply_overrides(str(params), found)
    assert yaml.safe_load(params.read_text()) == after


def test_a_worker_that_answers_too_late_is_not_taken_for_a_lost_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    busy = "c0ffee0  busy  10:00 AM  Running\n\nWorker status: 0 active, 0 idle\n"
    monkeypatch.setattr(requeue, "said", lambda *command: busy if command[-2:] == ("queue", "status") else "")
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "exec-run"], cwd=tmp_path) as worker:
        with pytest.raises(InputError, match="a worker is active"):
            requeue.requeue()
        worker.kill()


def start_worker(project: Project) -> None:
    """Start one worker and leave it; a pipe would be waited for until the worker ends."""
    subprocess.run(["dvc", "queue", "start"], cwd=project.folder, env=environment(), stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, check=True)  # fmt: skip


def processes(project: Project, word: str) -> list[psutil.Process]:
    """DVC's processes that work in a project and have a word in their command."""
    found = []
    for process in psutil.process_iter(["cwd", "cmdline"]):
        told = process.info
        if word in (told["cmdline"] or ()) and (told["cwd"] or "").startswith(str(project.folder)):
            found.append(process)
    return found


def until(holds: Callable[[], object], seconds: float = 120) -> bool:
    """Whether something comes to hold within some seconds."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.3)
    return True


def task(project: Project, number: int) -> str:
    """The name of a queued experiment."""
    lines = [line.split() for line in project.run("dvc", "queue", "status").splitlines()[1:] if line.strip()]
    return lines[number][1]


@pytest.mark.parametrize(
    ("stage", "project", "words"),
    [
        ("score@qaa-0", "/tmp/Übung", "beyond ASCII"),
        ("score@qaa-$(touch planted)", "/tmp", "is no stage"),
        ("score@qaa-0", "/tmp", "nowhere to leave results; set KETUNE_CACHE"),
    ],
)
def test_a_worker_refuses_what_would_fail_or_be_lost(tmp_path: Path, stage: str, project: str, words: str) -> None:
    done = subprocess.run([str(ROOT / "stages/cluster/worker.sh"), stage], cwd=tmp_path, capture_output=True, text=True,
                          env=environment() | {"KETUNE_PROJECT": project, "KETUNE_CACHE": ""}, check=False)  # fmt: skip
    assert done.returncode == 2 and words in done.stderr and done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_cluster_recipes_are_sound(done: Project) -> None:
    for script in (ROOT / "stages/cluster").glob("*.sh"):
        subprocess.run(["bash", "-n", str(script)], check=True)
        assert os.access(script, os.X_OK)
    recipe = yaml.safe_load((ROOT / "stages/cluster/skypilot.yaml").read_text())
    assert recipe["envs"]["BRANCH"] in done.run("dvc", "stage", "list", "--name-only").split()
    listed = [s for s in done.run("dvc", "stage", "list", "--name-only").split() if s.startswith("score@")]
    assert listed == ["score@base-0", "score@qaa-0"]
