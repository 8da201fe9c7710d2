"""Bills and noise of real machines; only where qiskit and its plugin are installed (the extra `hardware`)."""

import importlib.util
import math
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
import torch
import yaml

import ketune.bill
from conftest import tiny_params
from ketune import circuits
from ketune.circuits import Bill, Circuit, Gate, Reuploading, bill, expectations, measure, noisy
from ketune.circuits.embedding import prepared
from ketune.circuits.gates import KINDS
from ketune.circuits.machines import Noisy, assembled, machine
from ketune.circuits.simulator import simulate
from ketune.ground import files, layout
from ketune.ground.errors import InputError
from ketune.records.bills import Bills

installed = all(importlib.util.find_spec(name) for name in ("qiskit_aer", "qiskit_ibm_runtime", "pennylane_qiskit"))
needs_qiskit = pytest.mark.skipif(not installed, reason="the extra `hardware` is not installed")


def test_without_qiskit_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("qiskit")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("qiskit", "qiskit_aer", "qiskit_ibm_runtime"):
        monkeypatch.setitem(sys.modules, name, None)
    for call in (lambda: bill(Circuit(2), "FakeManilaV2"), lambda: noisy("FakeManilaV2")):
        with pytest.raises(
            InputError, match=r"is not installed.*ketune's extra `hardware`.*pip install \"\.\[hardware\]\""
        ):
            call()


def test_a_bill_refuses_a_vector_that_the_qubits_do_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(name: str) -> None:
        raise RuntimeError(name)

    monkeypatch.setattr("ketune.circuits.hardware.machine", stop)
    with pytest.raises(InputError, match="width: 17; 4 qubits hold vectors of 1 to 16 numbers"):
        bill(Circuit(4), "FakeLagosV2", width=17)
    for circuit, width in ((Circuit(4), 16), (Circuit(4), None), (Reuploading(4, 1), 576)):
        with pytest.raises(RuntimeError, match="FakeLagosV2"):  # width means nothing where tokens enter as angles
            bill(circuit, "FakeLagosV2", width=width)


@needs_qiskit
def test_a_bill_counts_preparation_and_circuit() -> None:
    found = bill(Circuit(4), "FakeLagosV2", width=13, circuits_a_token=30, error=0.1)
    alone = bill(Reuploading(4, 1), "FakeLagosV2")
    assert found.two_qubit_gates > found.preparation_two_qubit_gates > 4
    assert alone.preparation_two_qubit_gates == 0 and alone.two_qubit_gates >= 16
    assert 0 < found.success < 1 and found.depth > found.two_qubit_gates / 4
    assert (found.shots, found.circuits_a_token) == (100, 30)
    assert math.isclose(found.token_seconds, 30 * 100 * found.shot_seconds)
    assert math.isclose(found.noisy_shots, 100 / found.success**2)
    assert found == bill(Circuit(4), "FakeLagosV2", width=13, circuits_a_token=30, error=0.1)


def test_a_bill_is_worked_out_from_what_the_transpiler_and_the_calibration_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand, with a stand-in for qiskit: of ten executions four go without a failure."""
    errors = {("cx", (0, 1)): 0.2, ("measure", (0,)): 0.5, ("measure", (1,)): None}
    target = {name: {where: SimpleNamespace(error=e) for (n, where), e in errors.items() if n == name}
              for name in ("cx", "measure")}  # fmt: skip

    def transpile(circuit: MagicMock, *_: object, **__: object) -> SimpleNamespace:
        ran = [*errors, ("barrier", (0, 1))]
        return SimpleNamespace(
            data=[SimpleNamespace(operation=SimpleNamespace(name=name), qubits=where) for name, where in ran],
            find_bit=lambda wire: SimpleNamespace(index=wire),
            num_nonlocal_gates=lambda: 9 if circuit.prepare_state.called else 4,
            depth=lambda: 12,
            estimate_duration=lambda _: 2e-6,
        )

    qiskit = SimpleNamespace(QuantumCircuit=lambda *_: MagicMock(), transpile=transpile)
    monkeypatch.setitem(sys.modules, "qiskit", qiskit)
    backend = SimpleNamespace(name="stand-in", num_qubits=2, target=target)
    found = bill(Circuit(2), backend, circuits_a_token=30, error=0.1)
    assert (found.two_qubit_gates, found.preparation_two_qubit_gates, found.depth, found.shots) == (9, 5, 12, 100)
    assert found.success == pytest.approx(0.8 * 0.5)
    assert found.noisy_shots == pytest.approx(100 / 0.4**2)
    assert found.token_seconds == pytest.approx(30 * 100 * 2e-6)


def test_a_record_is_written_for_the_circuits_that_run_on_tokens(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def priced(circuit: Circuit, machine: str, *, width: int, circuits_a_token: int) -> Bill:
        asked.append((circuit, width, circuits_a_token))
        return Bill(
            machine=machine, qubits=circuit.qubits, two_qubit_gates=9, preparation_two_qubit_gates=5, depth=20,
            success=0.5, shot_seconds=1e-5, error=0.05, shots=400, noisy_shots=1600.0,
            circuits_a_token=circuits_a_token, token_seconds=0.1,
        )  # fmt: skip

    monkeypatch.setattr(circuits, "bill", priced)
    monkeypatch.setattr(ketune.bill, "version", lambda package: "1.0")
    monkeypatch.chdir(tmp_path)
    given = tiny_params(tiny_folder, ["base", "lora", "qaa", "quantum_peft", "qtha"], [0])
    given["qaa"]["learning_rates"] = {"projection": "tuned", "angles": "tuned"}  # a bill needs none
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(given, sort_keys=False))
    (tmp_path / "data").mkdir()
    (tmp_path / "data/model").symlink_to(tiny_folder)
    ketune.bill.bill()
    qaa, qtha = (files.read_json(layout.bills(name), Bills) for name in ("qaa", "qtha"))
    assert sorted(path.stem for path in layout.HARDWARE.iterdir()) == ["qaa", "qtha"]
    assert "quantum_peft: no circuit runs on tokens" in capsys.readouterr().out
    assert list(qaa.bills) == list(qtha.bills) == list(ketune.bill.MACHINES)
    assert qaa.circuit["entangler"] == "ring" and "RY" in str(qtha.circuit["gates"]) and qaa.trainable > 0
    width = files.read_json(tiny_folder / "config.json", dict)["hidden_size"]
    assert all(asked_width == width for _, asked_width, _ in asked)
    assert asked[0][0] == Circuit.for_width(width) and asked[0][2] == qaa.bills["FakeTorino"]["circuits_a_token"]


def every_gate() -> tuple[Gate, ...]:
    """One of each kind, on two wires, after a Hadamard and a turn on each wire that make their effects visible."""
    start = (Gate("Hadamard", (0,)), Gate("RY", (0,), angle=0), Gate("RX", (1,), angle=1))
    wires = {True: (0, 1), False: (1,)}
    rest = (Gate(name, wires[kind.controlled], angle=2 if kind.turned else None) for name, kind in KINDS.items())
    return (*start, *rest)


@needs_qiskit
def test_what_a_machine_is_given_are_the_circuits_gates_after_the_states_preparation() -> None:
    from qiskit.quantum_info import Statevector

    generator = torch.Generator().manual_seed(0)
    amplitudes = prepared(torch.randn(1, 3, generator=generator, dtype=torch.float64), 2)
    angles = [0.3, 0.7, 1.1]
    wanted = simulate(every_gate(), amplitudes.to(torch.complex128), torch.tensor(angles, dtype=torch.float64))[0]
    built = assembled(2, every_gate(), angles, amplitudes=amplitudes[0])
    built.remove_final_measurements()
    found = torch.tensor(Statevector(built.reverse_bits()).data)
    assert (found.conj() @ wanted).abs() > 1 - 1e-12


@needs_qiskit
@pytest.mark.parametrize("circuit", [Circuit(3), Reuploading(3, 1)], ids=["amplitudes", "angles"])
def test_a_machine_without_errors_measures_every_row_for_itself(circuit: Circuit | Reuploading) -> None:
    from qiskit_aer import AerSimulator

    device = Noisy(machine("FakeManilaV2"), AerSimulator())
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 7 if circuit.reads_amplitudes else 3, generator=generator)
    x, angles = torch.cat([x, x[:1], 0 * x[:1]]), torch.rand(circuit.angle_shape, generator=generator)
    z = measure(x, angles, circuit, device, shots=20_000, seed=0)
    assert torch.allclose(z, measure(x, angles, circuit), atol=0.04)  # six standard errors
    assert not torch.equal(z[0], z[3])  # equal rows are measured independently
    assert not circuit.reads_amplitudes or not z[4].any()
    with pytest.raises(InputError, match="fake_manila has no exact expectations"):
        measure(x, angles, circuit, device)
    with pytest.raises(InputError, match="has 5 qubits, but the circuit 6"):
        measure(torch.ones(1, 64), torch.ones(1, 6), Circuit(6), device, shots=10)


@needs_qiskit
def test_machines_are_named_or_refused() -> None:
    with pytest.raises(InputError, match=r"'FakeTurino' is none of qiskit's fake backends.*Did you mean 'FakeTorino'"):
        bill(Circuit(2), "FakeTurino")
    with pytest.raises(InputError, match="has 5 qubits, but the circuit 6"):
        bill(Circuit(6), "FakeManilaV2")


@needs_qiskit
@pytest.mark.filterwarnings("ignore")
def test_a_machines_noise_shrinks_what_is_measured() -> None:
    circuit = Circuit(3, 3)
    x, angles = torch.tensor([[1.0] + [0.0] * 7]), torch.zeros(3, 3)
    exact = expectations(x, angles, circuit)
    z, again = (measure(x, angles, circuit, noisy("FakeManilaV2"), shots=4000, seed=3) for _ in range(2))
    assert torch.allclose(exact, torch.ones(1, 3)) and (z > 0.5).all() and (z < 0.99).all() and torch.equal(z, again)


@needs_qiskit
@pytest.mark.parametrize("name", ["qiskit.aer", "qiskit.basicsim"])
@pytest.mark.filterwarnings("ignore")
def test_qiskits_simulators_measure_with_a_seed_and_are_refused_without_shots(name: str) -> None:
    circuit = Circuit(3)
    x, angles = torch.randn(2, 8, generator=torch.Generator().manual_seed(0)), torch.ones(1, 3)
    z = measure(x, angles, circuit, name, shots=2000, seed=1)
    assert (z - expectations(x, angles, circuit)).abs().max() < 0.15
    assert torch.equal(z, measure(x, angles, circuit, name, shots=2000, seed=1))
    with pytest.raises(InputError, match="no exact expectations"):
        measure(x, angles, circuit, name, seed=1)
    with pytest.raises(InputError, match="cannot be trained on"):
        expectations(x, angles, circuit, name)
