"""Tasks of DVC's queue whose worker was killed, queued again: `make requeue`.

DVC goes on calling such a task "Running" and starts it never again. A task's own commit holds its code and its params:
what its params have beyond the workspace's is queued again under its old name, and another code is refused, because DVC
would queue the workspace's. The words are DVC's own: kill, remove, run.
"""

from ketune.ground import process  # isort: skip  (an error is one sentence)

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from ruamel.yaml import YAML

from ketune.ground.errors import InputError
from ketune.ground.process import said

TASK = re.compile(r"^(?P<commit>[0-9a-f]{7,}) +(?P<name>\S+) .* Running *$", re.MULTILINE)
DVC = (sys.executable, "-m", "dvc")  # of this environment, whatever PATH has
MISSING = object()


def requeue() -> None:
    """Queue every task again that DVC calls running while no worker lives."""
    status = said(*DVC, "queue", "status")
    tasks = list(TASK.finditer(status))
    if not tasks:
        print("No task of the queue is running or lost.")
        return
    if not re.search(r"\b0 active\b", status) or workers():
        raise InputError(
            "dvc queue: a worker is active, and its tasks cannot be told from lost ones; wait until `dvc queue status` "
            "says '0 active', or stop the workers with `dvc queue stop`."
        )
    for task in tasks:
        if changed := said("git", "diff", "--name-only", task["commit"], "--", *process.CODE).split():
            raise InputError(
                f"{task['name']}: it was queued with another {changed[0]} than the workspace has; nothing was changed. "
                f"Check out the code it was queued with (commit {task['commit']}), or queue it by hand."
            )
    before = params()
    again = {task["name"]: [f"--set-param={one}" for one in changes(before, params(task["commit"]))] for task in tasks}
    for name, settings in again.items():  # all of them are known before the first is removed
        for command in (["queue", "kill", name], ["queue", "remove", name], ["exp", "run", "--queue", "--name", name]):
            told = [*command, *(settings if "--queue" in command else [])]
            print("dvc", *told)
            said(*DVC, *told)
    print("Start workers with `dvc queue start`.")


def workers() -> list[int]:
    """Process ids of DVC's workers and tasks below this folder: a busy one may answer too late to be called active."""
    found = []
    for one in psutil.process_iter(["cwd", "cmdline"]):
        words, folder = one.info["cmdline"] or (), one.info["cwd"]
        if folder and {"queue-worker", "exec-run"} & set(words) and Path(folder).is_relative_to(Path.cwd()):
            found.append(one.pid)
    return found


def params(commit: str = "") -> dict[str, Any]:
    """params.yaml as it stands in a commit, or in the workspace."""
    content = said("git", "show", f"{commit}:./params.yaml") if commit else Path("params.yaml").read_text("utf-8")
    return YAML(typ="safe").load(content)


def changes(before: Any, after: Any, key: str = "") -> Iterator[str]:
    """`section.key=value` for each value that differs, as DVC takes it: + before a new key, ~ before a lost one."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys([*before, *after]):
            place = f"{key}.{name}" if key else str(name)
            yield from changes(before.get(name, MISSING), after.get(name, MISSING), place)
    elif after is MISSING:
        yield f"~{key}"
    elif before != after:
        yield f"{'+' if before is MISSING else ''}{key}={written(after)}"


def written(value: Any) -> str:
    """A value as DVC's command line takes it: JSON, but for the keys of a mapping, which are not quoted."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {written(one)}' for name, one in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    return json.dumps(value)


if __name__ == "__main__":
    process.run(requeue)
