"""Our own backends under pytest-benchmark: `pytest tests/benchmarks --benchmark-only`."""

import pytest
import torch

from ketune.circuits import Circuit, expectations

BACKENDS = [("torch", "closed_form"), ("torch", "eager"), ("torch", "statevector"), ("lightning.qubit", "register"),
            ("lightning.qubit", "choi"), ("lightning.qubit", "phase")]  # fmt: skip


@pytest.mark.parametrize("batch", [64, 1024, 4096])
@pytest.mark.parametrize("layers", [1, 2, 4])
@pytest.mark.parametrize(("device", "mode"), BACKENDS)
@pytest.mark.parametrize("backward", [False, True])
def test_speed(benchmark, device: str, mode: str, layers: int, batch: int, backward: bool) -> None:
    circuit = Circuit.for_width(576, layers=layers)
    x = torch.randn(batch, 576, requires_grad=backward)
    angles = torch.randn(circuit.angle_shape, requires_grad=backward)
    grad = torch.randn(batch, circuit.qubits)

    def run() -> torch.Tensor:
        z = expectations(x, angles, circuit, device, mode=mode)
        return torch.autograd.grad(z, (x, angles), grad)[0] if backward else z

    result = benchmark.pedantic(run, rounds=3, warmup_rounds=1)
    benchmark.extra_info["microseconds_per_token"] = benchmark.stats["median"] / batch * 1e6
    assert result.isfinite().all()
