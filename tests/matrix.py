"""The library under the oldest and the newest versions that pyproject.toml allows, on every Python that is offered.

    python tests/matrix.py [PYTHON …]

For each environment: a new virtual environment, the built wheel's core with nothing of the study, the library's own
tests and an engineer's first hour. Prints a table; the exit status counts failures. Needs uv, which reads
UV_FIND_LINKS where a CPU wheel of torch lies at hand; else torch's usual build is taken.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TESTS = ["test_tuners.py", "test_methods_sora.py", "test_methods_quantum_peft.py", "test_methods_qtha.py"]
SHOWN = ("torch", "transformers", "peft", "numpy", "pydantic")
OFFERED = ("python3.11", "python3.12", "python3.13", "python3.14")


def run(*command: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    """A command's status and output."""
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **more)


def oldest() -> list[str]:
    """The lower end of each range in pyproject.toml."""
    ranges = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    return [f"{name}=={low}" for name, low in re.findall(r"^([a-z]+)>=([\d.]+)", "\n".join(ranges), re.M)]


def environments(pythons: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Each Python with the newest versions, and the first with the oldest."""
    yield pythons[0], oldest()
    for python in pythons:
        yield python, []


def row(python: str, pins: list[str], wheel: Path, folder: Path) -> tuple[list[str], bool]:
    """What the table says of one environment, and whether all held."""
    start, own = time.perf_counter(), folder / "bin/python"
    ends = "oldest" if pins else "newest"
    made = run("uv", "venv", "--quiet", "--python", python, folder)
    if made.returncode == 0:
        made = run("uv", "pip", "install", "--quiet", "--python", own, wheel, "pytest", *pins)
    if made.returncode:
        return [python, ends, "", f"not installed: {made.stderr.strip().splitlines()[-1]}", "", ""], False
    listed = run("uv", "pip", "list", "--python", own, "--format", "freeze").stdout
    found = dict(line.split("==") for line in listed.splitlines() if "==" in line)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
    tests = run(own, "-m", "pytest", "-q", "--noconftest", "-o", "addopts=", "-p", "no:cacheprovider", *TESTS,
                cwd=ROOT / "tests", env=environment)  # fmt: skip
    hour = run(own, ROOT / "tests/first_hour.py", folder / "hour", env=environment, cwd=folder)
    last = [(done.stdout.strip() or done.stderr.strip()).splitlines()[-1] for done in (tests, hour)]
    for done in (tests, hour):
        if done.returncode:
            print(done.stdout[-3000:], done.stderr[-3000:], file=sys.stderr)
    versions = ", ".join(f"{name} {found[name]}" for name in SHOWN)
    seconds = f"{time.perf_counter() - start:.0f}"
    cells = [run(own, "-V").stdout.strip(), ends, versions, re.sub(r" in .*", "", last[0]), last[1], seconds]
    return cells, tests.returncode == hour.returncode == 0


def main(pythons: list[str]) -> int:
    """Print the table; the number of environments in which something failed."""
    if shutil.which("uv") is None:
        raise SystemExit("uv is not installed, which builds the environments; pip install uv.")
    pythons = pythons or [name for name in OFFERED if shutil.which(name) and run(name, "-V").returncode == 0]
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        built = run("uv", "build", "--quiet", "--out-dir", scratch, ROOT)  # the wheel out of the source distribution
        if built.returncode:
            raise SystemExit(built.stderr)
        [wheel] = Path(scratch).glob("*.whl")
        print("| Python | versions | with | the library's tests | first hour | seconds |\n|---|---|---|---|---|---|")
        for number, (python, pins) in enumerate(environments(pythons)):
            cells, held = row(python, pins, wheel, Path(scratch) / str(number))
            print(f"| {' | '.join(cells)} |", flush=True)
            failed += not held
            shutil.rmtree(Path(scratch) / str(number), ignore_errors=True)
    return failed


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
