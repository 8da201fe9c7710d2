"""Shots and noise give what a noisy device with finite shots would give."""

import pennylane as qml
import pytest
import torch
from torch import Tensor

from ketune.circuits import Circuit, Noise, expectations
from ketune.circuits.devices import apply
from ketune.circuits.noise import faulty, negated
from ketune.circuits.sampling import draw_counts
from ketune.ground.errors import InputError


def draw(circuit: Circuit, batch: int = 3, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(batch, 1 << circuit.qubits, generator=generator, dtype=dtype)
    return x, torch.randn(circuit.angle_shape, generator=generator, dtype=dtype)


@pytest.mark.parametrize("device", ["torch", "lightning.qubit", "default.qubit"])
@pytest.mark.parametrize("rotation", ["RX", "RXRY"])
def test_shots_scatter_around_the_exact_value(device: str, rotation: str) -> None:
    circuit, shots = Circuit(4, 2, rotation), 4000
    x, angles = draw(circuit, batch=12)
    exact = expectations(x, angles, circuit)
    z = expectations(x, angles, circuit, device, shots=shots, seed=1)
    deviations = (z - exact) / ((1 - exact**2) / shots).sqrt()
    assert deviations.abs().max() < 5 and 0.6 < deviations.square().mean() < 1.6
    assert torch.equal(z, expectations(x, angles, circuit, device, shots=shots, seed=1))
    assert not torch.equal(z, expectations(x, angles, circuit, device, shots=shots, seed=2))


def test_one_shot_is_plus_or_minus_one_and_many_shots_cost_the_same() -> None:
    circuit = Circuit(4)
    x, angles = draw(circuit)
    assert expectations(x, angles, circuit, shots=1, seed=0).abs().eq(1).all()
    z = expectations(x, angles, circuit, shots=10**12, seed=0)
    assert (z - expectations(x, angles, circuit)).abs().max() < 1e-5


def test_counts_are_a_joint_sample() -> None:
    distribution = torch.tensor([[0.5, 0, 0, 0.5], [0.1, 0.2, 0.3, 0.4]], dtype=torch.float64)
    counts = draw_counts(distribution, 100_000, torch.Generator().manual_seed(0))
    assert torch.equal(counts.sum(1), torch.full((2,), 1e5, dtype=torch.float64))
    assert not counts[0, 1:3].any()
    assert (counts / 1e5 - distribution).abs().max() < 0.006


def test_the_noise_is_pennylanes_depolarizing_channel() -> None:
    circuit, p = Circuit(3, 2, "RXRY"), 0.05
    x, angles = draw(circuit)

    @qml.qnode(qml.device("default.mixed", wires=3))
    def noisy(row: Tensor) -> list:
        qml.StatePrep(row.numpy(), wires=range(3), normalize=True)
        for gate in circuit.gates():
            apply([gate], angles.view(-1).tolist())
            for wire in gate.wires:
                qml.DepolarizingChannel(p, wires=wire)
        return [qml.expval(qml.PauliZ(wire)) for wire in range(3)]

    wanted = torch.stack([torch.as_tensor(noisy(row)) for row in x]).double()
    exact = expectations(x, angles, circuit)
    z = expectations(x, angles, circuit, noise=Noise(depolarizing=p, patterns=3000), seed=0)
    assert (z - wanted).abs().max() < 0.04 < (exact - wanted).abs().max()
    with_shots = expectations(x, angles, circuit, shots=60_000, noise=Noise(depolarizing=p, patterns=3000), seed=0)
    assert (with_shots - wanted).abs().max() < 0.05


def test_read_out_errors_shrink_every_expectation() -> None:
    circuit = Circuit(3)
    x, angles = draw(circuit)
    exact = expectations(x, angles, circuit)
    assert torch.allclose(expectations(x, angles, circuit, noise=Noise(readout=0.1)), 0.8 * exact, atol=1e-14)
    z = expectations(x, angles, circuit, noise=Noise(readout=0.1), shots=200_000, seed=0)
    assert (z - 0.8 * exact).abs().max() < 0.012


def test_no_noise_is_no_fault_and_certain_faults_are_faults() -> None:
    generator = torch.Generator().manual_seed(0)
    circuit = Circuit(4, 2)
    assert tuple(faulty(circuit.gates(), 0.0, generator)) == circuit.gates()
    angle_signs, out_signs = negated(circuit.gates(), circuit)
    assert angle_signs.eq(1).all() and out_signs.eq(1).all()
    patterns = [negated(faulty(circuit.gates(), 1.0, generator), circuit) for _ in range(50)]
    assert {-1.0, 1.0} == set(torch.stack([signs for _, signs in patterns]).view(-1).tolist())
    assert torch.stack([signs for signs, _ in patterns])[:, 0].eq(1).all(), "nothing acts before the first rotations"


def test_rows_of_zeros_stay_zeros_and_the_type_stays() -> None:
    circuit = Circuit(3)
    x, angles = draw(circuit, dtype=torch.float32)
    x[1] = 0
    for device in ("torch", "lightning.qubit"):
        z = expectations(x.bfloat16(), angles, circuit, device, shots=50, seed=0)
        assert z.dtype == torch.bfloat16 and not z[1].any() and z[0].any()
    assert not expectations(x, angles, circuit, shots=50, noise=Noise(depolarizing=0.1), seed=0)[1].any()


@pytest.mark.parametrize("fields", [{"depolarizing": 1.5}, {"readout": -0.1}, {"patterns": 0}])
def test_impossible_noise_is_refused(fields: dict) -> None:
    with pytest.raises(InputError):
        Noise(**fields)
