"""The compiled kernel: it agrees with torch's operations for every shape, and where it cannot be had that is said."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ketune.circuits import Circuit, backends, edges, expectations, native, resolve

COMPILERS = (os.environ.get("CC", ""), "cc", "gcc", "clang")
pytestmark = pytest.mark.skipif(not any(map(shutil.which, COMPILERS)), reason="there is no C compiler here")


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A machine on which nothing has been compiled yet."""
    caches = (native.obstacle, native._library, backends._decide)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    for function in caches:
        function.cache_clear()
    yield tmp_path
    for function in caches:
        function.cache_clear()


def problem(qubits: int, width: int, batch: int, dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(qubits * 1000 + batch)
    x, phase = torch.randn(batch, width, generator=generator), 3 * torch.randn(1 << qubits, generator=generator)
    send, grad = torch.randperm(1 << qubits, generator=generator), torch.randn(batch, qubits, generator=generator)
    x /= x.norm(dim=1, keepdim=True)
    if batch > 2:
        x[1] = 0
    return x.to(dtype), phase.to(dtype), send, grad.to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("qubits", range(1, 9))
def test_the_kernel_is_torchs_operations(dtype: torch.dtype, qubits: int) -> None:
    limit = 200 * torch.finfo(dtype).eps
    for batch in (1, 7, 16, 33):
        for width in {1, max(1, (1 << qubits) - 3), 1 << qubits}:
            x, phase, send, grad = problem(qubits, width, batch, dtype)
            z = edges.values(x, phase, send)
            assert torch.allclose(native.values(x, phase, send), z, atol=limit)
            for a, b in zip(
                native.gradients(x, phase, send, z, grad), edges.gradients(x, phase, send, z, grad), strict=True
            ):
                assert torch.allclose(a, b, atol=limit * max(1, b.abs().max().item()))


def test_views_of_other_memory_are_read_right() -> None:
    x, phase, send, grad = problem(5, 32, 12, torch.float64)
    z = native.values(x, phase, send)
    assert torch.equal(native.values(x.t().contiguous().t(), phase, send), z)
    turned = native.gradients(x[:, :], phase, send, z.t().contiguous().t(), grad.t().contiguous().t())
    for a, b in zip(turned, native.gradients(x, phase, send, z, grad), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_share_the_batch_and_equal_runs_are_equal_bytes(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, phase, send, grad = problem(6, 50, 203, torch.float32)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    wanted = native.values(x, phase, send)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    z, *rest = native.values(x, phase, send), *native.gradients(x, phase, send, wanted, grad)
    assert torch.equal(z, wanted)
    assert all(torch.equal(a, b) for a, b in zip(rest, native.gradients(x, phase, send, wanted, grad), strict=True))
    for a, b in zip(rest, edges.gradients(x, phase, send, wanted, grad), strict=True):
        assert torch.allclose(a, b, atol=1e-4)


def test_one_compilation_serves_the_next_process(elsewhere: Path) -> None:
    assert native.obstacle(torch.float32) is None
    (kernel,) = (elsewhere / "ketune").iterdir()
    made = kernel.stat().st_mtime_ns
    native.obstacle.cache_clear()
    native._library.cache_clear()
    assert native.obstacle(torch.float32) is None
    assert [file.stat().st_mtime_ns for file in (elsewhere / "ketune").iterdir()] == [made]
    assert "by a compiled kernel" in resolve("torch", Circuit(3)).description


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"PATH": ""}, r"there is no C compiler \(CC, cc, gcc or clang\)"),
        ({"CC": "false"}, "false failed"),
        ({"XDG_CACHE_HOME": "/proc/nowhere"}, "no cache folder for the kernel"),
    ],
)
def test_without_a_kernel_torch_does_the_work_and_that_is_said(
    environment: dict[str, str], words: str, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    circuit = Circuit(4, 2)
    x, angles = problem(4, 16, 5, torch.float32)[0], torch.ones(2, 4)
    with monkeypatch.context() as changed:
        for name, value in environment.items():
            changed.setenv(name, value)
        assert re.search(words, native.obstacle(torch.float32) or "")
        assert "on a CPU in torch's operations, as " in resolve("torch", circuit).description
        z = expectations(x, angles, circuit, "torch")
    assert torch.equal(z, expectations(x, angles, circuit, "torch", mode="eager"))


def test_a_callers_autocast_does_not_switch_the_kernel_off(elsewhere: Path) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert native.obstacle(torch.float32) is None


def test_a_callers_default_device_is_not_the_kernels(elsewhere: Path) -> None:
    with torch.device("meta"):
        assert native.obstacle(torch.float32) is None


def test_a_kernel_that_disagrees_is_not_used(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "values", lambda x, phase, send: edges.values(x, phase, send) + 1e-3)
    assert native.obstacle(torch.float32) == "the compiled kernel disagrees with torch's operations"


def test_a_forked_process_computes_with_threads_of_its_own() -> None:
    code = """
import os, torch
from ketune.circuits import native
torch.get_num_threads = lambda: 2
x, phase, send = torch.randn(256, 8), torch.randn(8), torch.arange(8)
z = native.values(x, phase, send)
child = os.fork()
if child == 0:
    os._exit(0 if torch.equal(native.values(x, phase, send), z) else 3)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=60, env=dict(os.environ), check=False)
    assert done.returncode == 0, "3: the child computes otherwise"
