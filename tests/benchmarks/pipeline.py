"""Where the time of the default run goes: `python -m tests.benchmarks.pipeline` writes reports/benchmarks/pipeline.md.

Every stage is run once, in a clone of the last commit with a cache of its own. DVC names each stage as it starts it;
what passes until the next name is that stage's time, DVC's own work for it included. Of that, loading modules is
measured apart: the stage's imports alone, in a process of their own.
"""

import ast
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import measure

PAGE = measure.ROOT / "reports/benchmarks/pipeline.md"
STARTS = "Running stage '"


@dataclass(frozen=True)
class Kind:
    """All stages of one name.

    Attributes:
        runs: how many there are; seconds: of all of them together.
        loading: seconds that one of them spends on imports.
    """

    name: str
    runs: int
    seconds: float
    loading: float


def stages(project: Path) -> Iterator[tuple[str, float]]:
    """The name of each stage as `dvc repro` runs it, and the seconds until the next; last, DVC's own beginning."""
    start = last = time.perf_counter()
    name, own = "", 0.0
    command = [sys.executable, "-m", "dvc", "repro", "--force"]
    quietly = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, cwd=project, env=measure.ENVIRONMENT, **quietly) as process:
        for line in process.stdout or ():
            if not line.startswith(STARTS):
                continue
            now = time.perf_counter()
            if name:
                yield name, now - last
            else:
                own = now - start
            name, last = line.removeprefix(STARTS).partition("'")[0], now
    if process.returncode:
        sys.exit(f"dvc repro ended with status {process.returncode}; run it in a clone to see why.")
    yield name, time.perf_counter() - last
    yield "before the first stage", own


def loading(project: Path, stage: str) -> float:
    """Seconds that the imports at the top of a stage's script take."""
    script = project / "stages" / f"{stage}.py"
    imports = [node for node in ast.parse(script.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
    code = "\n".join(["import time; start = time.perf_counter()", *map(ast.unparse, imports),
                      "print(time.perf_counter() - start)"])  # fmt: skip
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=project, env=measure.ENVIRONMENT, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def kinds(timed: list[tuple[str, float]], project: Path) -> list[Kind]:
    """The stages by kind, in the order in which they first ran."""
    found: dict[str, list[float]] = {}
    for name, seconds in timed:
        found.setdefault(name.partition("@")[0], []).append(seconds)
    return [
        Kind(name, len(times), sum(times), loading(project, name) if (project / f"stages/{name}.py").exists() else 0.0)
        for name, times in found.items()
    ]


def markdown(found: list[Kind]) -> str:
    """One row for each kind of stage."""
    total = sum(kind.seconds for kind in found)
    lines = ["| stage | runs | seconds | share | seconds a run | of which imports |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {kind.name} | {kind.runs} | {kind.seconds:.0f} | {kind.seconds / total:.0%} | "
        f"{kind.seconds / kind.runs:.1f} | {kind.loading:.1f} |"
        for kind in found
    ]
    return "\n\n".join([
        "# Where the time of the default run goes",
        f"{measure.stamp('dvc', 'torch', 'transformers', 'peft')}. Every stage once, {total / 60:.1f} minutes "
        "together, nothing else running. Written by `python -m tests.benchmarks.pipeline`.",
        "\n".join(lines),
    ]) + "\n"  # fmt: skip


def main() -> None:
    """Measure in a clone, and write the page."""
    with measure.clone() as project:
        page = markdown(kinds(list(stages(project)), project))
    PAGE.write_text(page)
    print(page)


if __name__ == "__main__":
    main()
