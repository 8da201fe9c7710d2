"""Time and memory of callables: interleaved, in processor time of one process, medians; peak memory in a child.

Also what pages say of where and when they were made, and a clone to run the pipeline in.
"""

import contextlib
import ctypes
import gc
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]), "PYTHONPATH": "src"
}  # fmt: skip
"""For commands in a clone, with the packages of this process."""


@contextlib.contextmanager
def clone() -> Iterator[Path]:
    """The last commit in a folder of its own, which goes at the end."""
    with tempfile.TemporaryDirectory() as scratch:
        project = Path(scratch) / "ketune"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(project)], check=True)
        yield project


def trim() -> None:
    """Give freed memory back to the system now; the C library would do so during some later call."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def interleaved(
    candidates: dict[str, Callable[[], object]],
    repeats: int,
    seconds: float = 15.0,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, list[float]]:
    """Seconds of every call: each round runs every candidate once, so that all see the same machine.

    No candidate pays for what another leaves behind: garbage is collected between the rounds, freed memory goes back to
    the system before a candidate's turn, and its turn is one call that is not timed and one that is. A candidate leaves
    the rounds once it has been timed twice and has used up `seconds`.
    """
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(repeats):
        gc.collect()
        gc.disable()
        for name, run in candidates.items():
            if len(times[name]) >= 2 and sum(times[name]) > seconds:
                continue
            trim()
            run()
            start = clock()
            run()
            times[name].append(clock() - start)
        gc.enable()
    return times


def ratio(times: dict[str, list[float]], name: str, base: str) -> float:
    """Median over rounds of `name`'s time over `base`'s time in the same round."""
    return statistics.median(a / b for a, b in zip(times[name], times[base], strict=False))


def peak_megabytes(warm: Callable[[], object], run: Callable[[], object]) -> float | None:
    """Peak resident memory that `run` adds after `warm`, a smaller call, measured in a forked child; None off Linux."""
    if not Path("/proc/self/clear_refs").exists():
        return None
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            warm()
            trim()
            Path("/proc/self/clear_refs").write_text("5")
            before = _status("VmRSS")
            run()
            os.write(send, str((_status("VmHWM") - before) / 1024).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(send)
    with os.fdopen(receive) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return float(text) if text else None


def peak_gpu_megabytes(run: Callable[[], object]) -> float:
    """Peak memory that a second call adds on the GPU; what PennyLane's device holds itself is not seen."""
    import torch

    run()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field + ":"))


def machine() -> str:
    """Processor, cores and system in one line."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{name}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"


def stamp(*names: str, threads: int | None = None) -> str:
    """Where and when: machine, threads where their number was set, day and versions, in one line."""
    bound = [] if threads is None else [f"{threads} thread{'s' if threads > 1 else ''}"]
    return "; ".join([machine(), *bound, time.strftime("%Y-%m-%d"), versions(*names)])


def versions(*names: str) -> str:
    """Installed versions in one line."""
    found = [f"Python {platform.python_version()}"]
    for name in names:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(f"{name} not installed")
    return ", ".join(found)
