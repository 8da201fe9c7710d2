"""The closed form as a kernel: `closed_form.c`, compiled by the machine's own C compiler when it is first needed.

A compiled kernel is kept in the user's cache folder, under a name made of everything that it depends on. Where there is
none `obstacle` says why, and `ketune.circuits.edges` does the same work in torch's operations.
"""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from ketune.circuits import edges
from ketune.circuits.embedding import scales

SOURCE = Path(__file__).with_name("closed_form.c")
FLAGS = ("-O3", "-march=native", "-funroll-loops", "-shared", "-fPIC")
TYPES = {torch.float32: ("float", 16), torch.float64: ("double", 8)}
"""C's name of each dtype and how many fit into a vector of 64 bytes, one for each token."""
LEAST = 64  # tokens for each thread


class Unavailable(Exception):
    """There is no kernel; the message is a clause that says why."""


def _compiler() -> str:
    for name in (os.environ.get("CC"), "cc", "gcc", "clang"):
        if name and (found := shutil.which(name)):
            return found
    raise Unavailable("there is no C compiler (CC, cc, gcc or clang)")


def _run(*command: str) -> str:
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise Unavailable(f"{command[0]} failed: {said[0] if said else type(error).__name__}") from error


def _folder() -> Path:
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ketune"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:
        raise Unavailable(f"no cache folder for the kernel ({error}); XDG_CACHE_HOME names another") from error
    return folder


def _name(compiler: str, options: tuple[str, ...]) -> str:
    """A name that another source, compiler, option or processor would change."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())
    parts = (SOURCE.read_text(), _run(compiler, "--version"), *options, platform.machine(), flags)
    return f"closed_form-{hashlib.sha256(repr(parts).encode()).hexdigest()[:24]}.so"


@lru_cache(maxsize=len(TYPES))
def _library(dtype: torch.dtype) -> ctypes.CDLL:
    compiler, (name, lanes) = _compiler(), TYPES[dtype]
    options = (*FLAGS, f"-DREAL={name}", f"-DLANES={lanes}")
    target = _folder() / _name(compiler, options)
    try:
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
                _run(compiler, *options, "-o", f"{scratch}/built", str(SOURCE))
                Path(scratch, "built").replace(target)
        return ctypes.CDLL(str(target))
    except OSError as error:
        raise Unavailable(f"the compiled kernel cannot be kept or loaded: {error}") from error


@lru_cache(maxsize=len(TYPES))
def obstacle(dtype: torch.dtype) -> str | None:
    """None where the kernel works and agrees with torch's operations, else a clause: what is in the way."""
    try:
        _library(dtype)
    except Unavailable as error:
        return str(error)
    # the caller's device and autocast would place or round what is compared
    with torch.device("cpu"), torch.autocast("cpu", enabled=False):
        x = torch.arange(19 * 13, dtype=dtype).sin().view(19, 13)
        phase, send, grad = torch.arange(16, dtype=dtype).cos(), torch.arange(16) ^ 5, x[:, :4].cos()
        z = edges.values(x, phase, send)
        wanted = (z, *edges.gradients(x, phase, send, z, grad))
        found = (values(x, phase, send), *gradients(x, phase, send, z, grad))
    limit = 100 * torch.finfo(dtype).eps
    if all(torch.allclose(a, b, rtol=limit, atol=limit) for a, b in zip(found, wanted, strict=True)):
        return None
    return "the compiled kernel disagrees with torch's operations"


@lru_cache(maxsize=1)
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)


def _shared(batch: int, lanes: int, work: Callable[[int, int], None]) -> None:
    """Call `work` with (first token, tokens) of every thread's share, a whole number of vectors but for the last."""
    threads = max(1, min(torch.get_num_threads(), batch // LEAST))
    share = -(-batch // (threads * lanes)) * lanes
    parts = [(start, min(share, batch - start)) for start in range(0, batch, share)]
    if len(parts) == 1:
        work(*parts[0])
    else:
        list(_pool(threads, os.getpid()).map(work, *zip(*parts, strict=True)))


def _tables(features: Tensor, phase: Tensor, send: Tensor) -> tuple[Tensor, ...]:
    """What both functions read first: x, its scales, cos Φ and sin Φ over √N, and the rows of the amplitudes."""
    features, root = features.contiguous(), phase.shape[0] ** 0.5
    return features, scales(features), torch.cos(phase) / root, torch.sin(phase) / root, send


def _at(tensor: Tensor, start: int = 0) -> ctypes.c_void_p:
    """The address of row `start`; no operation of torch, because worker threads have modes of their own."""
    return ctypes.c_void_p(tensor.data_ptr() + start * tensor.stride(0) * tensor.element_size())


def values(features: Tensor, phase: Tensor, send: Tensor) -> Tensor:
    """z (B, n) of features (B, d), the phases (N,), and the row (N,) that each amplitude goes to."""
    call, lanes = _library(phase.dtype).values, TYPES[phase.dtype][1]
    x, scale, *tables = _tables(features, phase, send)
    z = x.new_empty(x.shape[0], phase.shape[0].bit_length() - 1)

    def work(start: int, tokens: int) -> None:
        sizes, scratch = map(ctypes.c_long, (tokens, x.shape[1], z.shape[1])), x.new_empty(lanes * phase.shape[0])
        call(_at(x, start), _at(scale, start), *map(_at, tables), *sizes, _at(z, start), _at(scratch))

    _shared(x.shape[0], lanes, work)
    return z


def gradients(features: Tensor, phase: Tensor, send: Tensor, z: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    """(dL/dx (B, d), dL/dΦ (N,)) from z and dL/dz (B, n)."""
    call, lanes = _library(phase.dtype).gradients, TYPES[phase.dtype][1]
    x, scale, *tables = _tables(features, phase, send)
    z, grad, d_x = z.contiguous(), grad.contiguous(), torch.empty_like(x)
    d_phases: dict[int, Tensor] = {}

    def work(start: int, tokens: int) -> None:
        sizes, scratch = map(ctypes.c_long, (tokens, x.shape[1], z.shape[1])), x.new_empty(3 * lanes * phase.shape[0])
        d_phases[start] = torch.empty_like(phase)
        rows = (_at(z, start), _at(grad, start), _at(d_x, start), _at(d_phases[start]), _at(scratch))
        call(_at(x, start), _at(scale, start), *map(_at, tables), *sizes, *rows)

    _shared(x.shape[0], lanes, work)
    return d_x, torch.stack([d_phases[start] for start in sorted(d_phases)]).sum(0)
