"""Shots and noise give what a noisy device with finite shots would give."""

import sys
import warnings

import pennylane as qml
import pytest
import torch
from torch import Tensor

from ketune.circuits import (
    Circuit,
    Noise,
    Reuploading,
    backends,
    drawing,
    expectations,
    measure,
    measured,
    reuploading_expectations,
)
from ketune.circuits.devices import apply
from ketune.circuits.gates import Gate
from ketune.circuits.noise import faulty, negated
from ketune.circuits.sampling import draw_counts
from ketune.ground.errors import InputError
from test_circuits_facts import Odd


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
    z = measure(x, angles, circuit, device, shots=shots, seed=1)
    deviations = (z - exact) / ((1 - exact**2) / shots).sqrt()
    assert deviations.abs().max() < 5 and 0.6 < deviations.square().mean() < 1.6
    assert torch.equal(z, measure(x, angles, circuit, device, shots=shots, seed=1))
    assert not torch.equal(z, measure(x, angles, circuit, device, shots=shots, seed=2))


def test_shots_alone_are_drawn_of_gates_through_which_no_error_passes() -> None:
    circuit = Odd((Gate("Hadamard", (0,)), Gate("RX", (1,), angle=0)))
    x, angles = draw(circuit)
    exact = expectations(x, angles, circuit, "default.qubit")
    assert torch.allclose(measure(x, angles, circuit, "default.qubit"), exact)
    assert (measure(x, angles, circuit, "default.qubit", shots=10_000, seed=0) - exact).abs().max() < 0.05
    with pytest.raises(InputError, match="errors do not pass through Hadamard as signs"):
        measure(x, angles, circuit, "default.qubit", noise=Noise(depolarizing=0.1), seed=0)


def test_one_shot_is_plus_or_minus_one_and_many_shots_cost_the_same() -> None:
    circuit = Circuit(4)
    x, angles = draw(circuit)
    assert measure(x, angles, circuit, shots=1, seed=0).abs().eq(1).all()
    z = measure(x, angles, circuit, shots=10**12, seed=0)
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
    z = measure(x, angles, circuit, noise=Noise(depolarizing=p, patterns=3000), seed=0)
    assert (z - wanted).abs().max() < 0.04 < (exact - wanted).abs().max()
    with_shots = measure(x, angles, circuit, shots=60_000, noise=Noise(depolarizing=p, patterns=3000), seed=0)
    assert (with_shots - wanted).abs().max() < 0.05


def test_read_out_errors_shrink_every_expectation() -> None:
    circuit = Circuit(3)
    x, angles = draw(circuit)
    exact = expectations(x, angles, circuit)
    assert torch.allclose(measure(x, angles, circuit, noise=Noise(readout=0.1)), 0.8 * exact, atol=1e-14)
    z = measure(x, angles, circuit, noise=Noise(readout=0.1), shots=200_000, seed=0)
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


def test_outcomes_without_a_seed_leave_torchs_own_generator_alone() -> None:
    circuit = Circuit(3)
    x, angles = draw(circuit)
    torch.manual_seed(0)
    wanted = torch.rand(1)
    torch.manual_seed(0)
    first, second = (measure(x, angles, circuit, shots=1000) for _ in range(2))
    assert torch.equal(torch.rand(1), wanted) and not torch.equal(first, second)


def test_rows_of_zeros_stay_zeros_and_the_type_stays() -> None:
    circuit = Circuit(3)
    x, angles = draw(circuit, dtype=torch.float32)
    x[1] = 0
    for device in ("torch", "lightning.qubit"):
        z = measure(x.bfloat16(), angles, circuit, device, shots=51, noise=Noise(readout=0.2), seed=0)
        assert z.dtype == torch.bfloat16 and not z[1].any() and z[0].any()
    assert not measure(x, angles, circuit, shots=50, noise=Noise(depolarizing=0.1), seed=0)[1].any()


def mixed(circuit: Reuploading, angles: Tensor, p: float):
    """⟨Z⟩ of one token under depolarizing errors, by PennyLane's density matrices."""

    @qml.qnode(qml.device("default.mixed", wires=circuit.qubits))
    def run(row: Tensor) -> list:
        for gate in circuit.gates():
            apply([gate], angles.view(-1).tolist(), inputs=row.tolist())
            for wire in gate.wires:
                qml.DepolarizingChannel(p, wires=wire)
        return [qml.expval(qml.PauliZ(wire)) for wire in range(circuit.qubits)]

    return run


def test_noise_reaches_circuits_that_take_angles_too() -> None:
    circuit, p = Reuploading(2, 1), 0.05
    inputs, angles = draw(circuit)[0][:, :2], draw(circuit)[1]
    wanted = torch.stack([torch.stack([torch.as_tensor(z) for z in mixed(circuit, angles, p)(row)]) for row in inputs])
    exact = reuploading_expectations(inputs, angles)
    assert torch.allclose(measure(inputs, angles, circuit), exact, atol=1e-12)
    z = measure(inputs, angles, circuit, noise=Noise(depolarizing=p, patterns=1500), seed=0)
    assert (z - wanted).abs().max() < 0.04 < (exact - wanted).abs().max()
    shots = measure(inputs, angles, circuit, shots=100_000, seed=0)
    assert 1e-5 < (shots - exact).abs().max() < 0.02


def devices() -> dict[str, object]:
    """Names, a factory and a device of its own, whose noise is PennyLane's bit flip before the read-out."""

    def noisy(wires: int) -> object:
        flips = qml.NoiseModel({qml.noise.op_eq(qml.RX): qml.noise.partial_wires(qml.BitFlip, 0.1)})
        return qml.noise.add_noise(qml.device("default.mixed", wires=wires), flips)

    return {"object": qml.device("default.qubit", wires=4, seed=3), "factory": lambda n: qml.device("default.mixed", n),
            "noisy factory": noisy, "noisy object": noisy(4), "name": "default.mixed"}  # fmt: skip


@pytest.mark.parametrize("kind", list(devices()))
def test_any_device_of_pennylane_measures(kind: str) -> None:
    circuit, device = Circuit(3, 2), devices()[kind]
    x, angles = draw(circuit, batch=4)
    x[2] = 0
    exact = expectations(x, angles, circuit)
    z = measure(x, angles, circuit, device)
    assert torch.allclose(z, exact, atol=1e-6) != kind.startswith("noisy") and not z[2].any()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        drawn = measure(x, angles, circuit, device, shots=4000, seed=0)
    assert (drawn - z).abs().max() < 0.1 and not torch.equal(drawn, z)
    assert any("keeps its own randomness" in str(w.message) for w in caught) != (kind == "name")


def test_a_device_that_measures_only_is_refused_for_training_in_one_sentence() -> None:
    x, angles = draw(Circuit(3))
    for device in ("default.mixed",):
        with pytest.raises(InputError, match=r"cannot be trained on, as it returns .*as_hardware\(model, shots=1000"):
            expectations(x, angles, Circuit(3), device)
    small = qml.device("default.qubit", wires=2)
    with pytest.raises(InputError, match=r"has 2 wires, but the circuit needs 3"):
        measure(x, angles, Circuit(3), small, shots=10)
    with pytest.raises(InputError, match="is no PennyLane device"):
        measure(x, angles, Circuit(3), lambda wires: wires, shots=10)


def test_a_device_that_answers_with_shots_of_its_own_is_not_taken_for_exact() -> None:
    def sampled(wires: int) -> object:
        return qml.devices.DefaultQubit(wires=wires, shots=1000, seed=0)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        device = sampled(3)
    with warnings.catch_warnings(), pytest.raises(InputError, match="no exact expectations; give a number of shots"):
        warnings.simplefilter("ignore")
        measured._check_exact(device, "it")


def test_one_generator_goes_on_from_call_to_call() -> None:
    circuit = Circuit(3)
    x, angles = draw(circuit)
    generator = torch.Generator().manual_seed(5)
    first, second = (measure(x, angles, circuit, shots=50, seed=generator) for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(first, measure(x, angles, circuit, shots=50, seed=5))


def test_measuring_refuses_gradients_and_what_does_not_fit() -> None:
    circuit = Circuit(3)
    x, angles = draw(circuit)
    with pytest.raises(InputError, match="no gradient"):
        measure(x.requires_grad_(), angles, circuit, shots=10)
    with torch.no_grad():
        assert measure(x, angles, circuit, shots=10).shape == (3, 3)
        for arguments, options, words in (
            ((x, angles, circuit), {"shots": 0}, "shots: 0"),
            ((x[:, :0], angles, circuit), {}, "hold 1 to 8"),
            ((x, angles[0], circuit), {}, "angles"),
        ):
            with pytest.raises(InputError, match=words):
                measure(*arguments, **options)


def test_without_pennylane_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = Circuit(2, 5)
    x, angles = draw(circuit)
    with monkeypatch.context() as absent:
        absent.setitem(sys.modules, "pennylane", None)
        backends._decide.cache_clear()
        assert torch.equal(expectations(x, angles, circuit, "torch"), measure(x, angles, circuit))
        assert measure(x, angles, circuit, shots=3).shape == (3, 2)
        for call in (
            lambda: measure(x, angles, circuit, "lightning.qubit", shots=3),
            lambda: expectations(x, angles, circuit, "lightning.qubit"),
            lambda: drawing(circuit),
        ):
            with pytest.raises(InputError, match=r"PennyLane is not installed.*pip install pennylane"):
                call()


@pytest.mark.parametrize(
    "fields",
    [
        {"depolarizing": 1.5},
        {"depolarizing": "0.1"},
        {"readout": -0.1},
        {"readout": True},
        {"patterns": 0},
        {"patterns": 1.5},
    ],
)
def test_impossible_noise_is_refused(fields: dict) -> None:
    [(name, value)] = fields.items()
    with pytest.raises(InputError, match=f"^noise.{name}: {value!r} is "):
        Noise(**fields)
