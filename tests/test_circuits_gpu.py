"""lightning.gpu, and lightning.kokkos where it is installed, give what the closed form gives; skipped where they do not
run, with the reason. `make gpu` demands the GPU."""

import os

import pytest
import torch

from ketune.circuits import Circuit, devices, expectations

PLACE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.mark.parametrize("mode", ["register", "choi", "phase"])
@pytest.mark.parametrize("layers", [1, 4])
@pytest.mark.parametrize("device", ["lightning.gpu", "lightning.kokkos"])
def test_values_and_gradients_equal_those_of_the_closed_form(device: str, layers: int, mode: str) -> None:
    reason = devices.obstacle(device)
    if reason and (device, os.environ.get("KETUNE_GPU")) != ("lightning.gpu", "1"):
        pytest.skip(reason)
    assert reason is None
    generator = torch.Generator().manual_seed(layers)
    circuit = Circuit.for_width(576, layers=layers)
    x = torch.randn(32, 576, generator=generator).to(PLACE)
    angles = torch.randn(circuit.angle_shape, generator=generator).to(PLACE)
    found = [evaluated(x, angles, circuit, *backend) for backend in (("torch", "closed_form"), (device, mode))]
    for exact, other in zip(*found, strict=True):
        torch.testing.assert_close(other, exact, atol=2e-5, rtol=2e-4)


def evaluated(
    x: torch.Tensor, angles: torch.Tensor, circuit: Circuit, device: str, mode: str
) -> tuple[torch.Tensor, ...]:
    """z, and the gradients of a weighted sum of z with respect to features and angles."""
    x, angles = x.clone().requires_grad_(), angles.clone().requires_grad_()
    z = expectations(x, angles, circuit, device, mode=mode)
    weights = torch.linspace(-1, 1, z.numel(), device=z.device).view_as(z)
    return (z.detach(), *torch.autograd.grad((z * weights).sum(), (x, angles)))
