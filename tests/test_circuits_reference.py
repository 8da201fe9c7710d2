"""One description of a circuit: PennyLane, the plain simulator and every fast path read the same gates alike."""

import pennylane as qml
import pytest
import torch
from torch import Tensor

from ketune.circuits import (
    Circuit,
    Noise,
    Reuploading,
    TwoDesign,
    ansatz,
    expectations,
    gates,
    measure,
    reuploading_expectations,
    two_design_columns,
)
from ketune.circuits.devices import apply
from ketune.circuits.gates import KINDS, Gate, Gates, undone
from ketune.circuits.noise import faulty, negated
from ketune.circuits.simulator import read_out, simulate, start
from ketune.ground.errors import InputError
from ketune.tuners.qaa import QAAConfig

CIRCUITS: list[Gates] = [
    Circuit(1), Circuit(2, 2), Circuit(4, 3, "RX", "chain"), Circuit(3, 2, "RY"), Circuit(4, 2, "RXRY"),
    Circuit(3, 2, "RXRY", "none"), TwoDesign(1, 2), TwoDesign(2, 1), TwoDesign(5, 2), Reuploading(1, 2),
    Reuploading(2, 1), Reuploading(4, 2),
]  # fmt: skip


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def embedded(features: Tensor, circuit: Gates) -> Tensor:
    padded = torch.nn.functional.pad(features, (0, (1 << circuit.qubits) - features.shape[1]))
    return (padded / torch.linalg.vector_norm(padded, dim=1, keepdim=True)).to(features.dtype.to_complex())


def reference(circuit: Gates, features: Tensor, angles: Tensor, sequence=None) -> Tensor:
    return read_out(simulate(sequence or circuit.gates(), embedded(features, circuit), angles))


@pytest.mark.parametrize("circuit", CIRCUITS, ids=str)
def test_the_simulator_is_default_qubit(circuit: Gates) -> None:
    angles, inputs = numbers(*circuit.angle_shape), numbers(3, circuit.qubits, seed=1)
    states = embedded(numbers(3, 1 << circuit.qubits, seed=2), circuit)

    @qml.qnode(qml.device("default.qubit", wires=circuit.qubits))
    def run(state: Tensor, row: Tensor) -> object:
        qml.StatePrep(state.numpy(), wires=range(circuit.qubits))
        apply(circuit.gates(), angles.view(-1).tolist(), inputs=row.tolist())
        return qml.state()

    wanted = torch.stack([torch.as_tensor(run(state, row)) for state, row in zip(states, inputs, strict=True)])
    found = simulate(circuit.gates(), states, angles, inputs)
    assert torch.allclose(found, wanted, atol=1e-13)
    returned = simulate(undone(circuit.gates()), found, -angles, -inputs)
    assert torch.allclose(returned, states, atol=1e-13)


def test_every_kind_of_gate_is_pennylanes() -> None:
    for name, kind in KINDS.items():
        wires = (2, 0) if kind.controlled else (1,)
        gate, angle = Gate(name, wires, angle=0 if kind.turned else None), numbers(1)
        with qml.tape.QuantumTape() as tape:
            apply([gate], angle.tolist())
        wanted = torch.as_tensor(qml.matrix(tape, wire_order=range(3))).to(torch.complex128)
        found = simulate([gate], torch.eye(8, dtype=torch.complex128), angle)
        assert torch.allclose(found.t(), wanted, atol=1e-14), name


@pytest.mark.parametrize("circuit", [c for c in CIRCUITS if isinstance(c, Circuit)], ids=str)
@pytest.mark.parametrize(
    ("device", "mode"),
    [
        ("torch", "closed_form"),
        ("torch", "eager"),
        ("torch", "statevector"),
        *(("lightning.qubit", m) for m in ("register", "choi", "phase")),
    ],
)
def test_fast_paths_agree_with_the_simulator_or_refuse(circuit: Circuit, device: str, mode: str) -> None:
    x, angles = numbers(3, 1 << circuit.qubits).requires_grad_(), numbers(*circuit.angle_shape, seed=1).requires_grad_()
    if mode in ("closed_form", "eager", "phase") and circuit.rotation != "RX":
        with pytest.raises(InputError, match=r"covers RX and CNOT, but the circuit has .*RY"):
            expectations(x, angles, circuit, device, mode=mode)
        return
    weight = numbers(3, circuit.qubits, seed=2)
    found, wanted = expectations(x, angles, circuit, device, mode=mode), reference(circuit, x, angles)
    assert torch.allclose(found, wanted, atol=1e-12)
    for a, b in zip(*(torch.autograd.grad(z, (x, angles), weight) for z in (found, wanted)), strict=True):
        assert torch.allclose(a, b, atol=1e-11)


class Given(Gates):
    """Any gates on two wires, with `count` angles."""

    qubits = 2

    def __init__(self, count: int, *sequence: Gate) -> None:
        self.count, self.sequence = count, sequence

    @property
    def angle_shape(self) -> tuple[int, ...]:
        return (self.count,)

    def gates(self) -> tuple[Gate, ...]:
        return self.sequence

    def __str__(self) -> str:
        return " ".join(gate.name for gate in self.sequence)


@pytest.mark.parametrize("device", ["torch", "lightning.qubit"])
def test_what_the_gradients_do_not_cover_is_refused(device: str) -> None:
    shared = Given(2, Gate("RX", (0,), angle=0), Gate("RX", (1,), angle=0), Gate("RX", (1,), angle=1))
    controlled = Given(2, Gate("RY", (0,), angle=0), Gate("CRZ", (0, 1), angle=1))
    for circuit, reason in ((shared, "an angle turns several gates"), (controlled, "CRZ is a rotation under a contr")):
        with pytest.raises(InputError, match=f"^circuit: {reason}.* gradient is not covered; give each rotation one"):
            expectations(numbers(3, 4), numbers(2), circuit, device)


@pytest.mark.parametrize("second", ["RX", "RY"])
def test_an_angle_of_several_gates_is_measured_as_the_simulator_has_it(second: str) -> None:
    circuit = Given(1, Gate("RX", (0,), angle=0), Gate(second, (1,), angle=0))
    x, angles = numbers(3, 4), numbers(1)
    wanted = reference(circuit, x, angles)
    assert torch.allclose(measure(x, angles, circuit), wanted, atol=1e-12)
    assert torch.allclose(measure(x, angles, circuit, shots=10**12, seed=0), wanted, atol=1e-5)
    with pytest.raises(InputError, match=r"^noise: an angle turns several gates"):
        measure(x, angles, circuit, noise=Noise(depolarizing=0.1))


@pytest.mark.parametrize("circuit", [c for c in CIRCUITS if isinstance(c, TwoDesign)], ids=str)
def test_orthogonal_columns_are_the_simulators(circuit: TwoDesign) -> None:
    angles, size = numbers(*circuit.angle_shape), 1 << circuit.qubits
    rows = simulate(circuit.gates(), torch.eye(size, dtype=torch.complex128), angles)
    assert torch.allclose(two_design_columns(angles, circuit.qubits, circuit.layers, size), rows.t().real, atol=1e-13)
    assert not rows.imag.any()


@pytest.mark.parametrize("circuit", [c for c in CIRCUITS if isinstance(c, Reuploading)], ids=str)
def test_reuploading_is_the_simulators(circuit: Reuploading) -> None:
    angles, inputs = numbers(*circuit.angle_shape), numbers(5, circuit.qubits, seed=1)
    wanted = read_out(simulate(circuit.gates(), start(5, circuit, angles), angles, inputs))
    assert torch.allclose(reuploading_expectations(inputs, angles), wanted, atol=1e-13)


def test_gates_that_read_the_token_are_refused_without_it() -> None:
    circuit = Reuploading(2, 1)
    like, angles = torch.zeros(1, 2), torch.zeros(circuit.angle_shape)
    with pytest.raises(InputError, match="takes its angle from the token"):
        simulate(circuit.gates(), start(1, circuit, like), angles)


@pytest.mark.parametrize("circuit", [c for c in CIRCUITS if not isinstance(c, Reuploading) or c.qubits == 1], ids=str)
def test_segments_are_the_same_circuit(circuit: Gates) -> None:
    """Nothing reads segments of CRZ gates, which re-uploading has from two qubits on."""
    for segment in circuit.segments:
        wires = [gate.wires[0] for gate in segment.rotations]
        assert len(set(wires)) == len(wires) and not any(gate.kind.turned for gate in segment.fixed)
    sequence = [gate for segment in circuit.segments for gate in segment.rotations + segment.fixed]
    angles, inputs = numbers(*circuit.angle_shape), numbers(3, circuit.qubits, seed=1)
    states = embedded(numbers(3, 1 << circuit.qubits, seed=2), circuit)
    wanted = simulate(circuit.gates(), states, angles, inputs)
    assert torch.allclose(simulate(sequence, states, angles, inputs), wanted, atol=1e-13)


PAULIS = Given(2, Gate("PauliX", (0,)), Gate("RX", (0,), angle=0), Gate("PauliY", (1,)), Gate("CNOT", (0, 1)),
               Gate("RY", (1,), angle=1), Gate("PauliX", (1,)), Gate("PauliZ", (0,)))  # fmt: skip


@pytest.mark.parametrize("circuit", [*(c for c in CIRCUITS if not isinstance(c, Reuploading)), PAULIS], ids=str)
def test_errors_as_signs_are_errors_as_gates(circuit: Gates) -> None:
    generator = torch.Generator().manual_seed(0)
    x, angles = numbers(4, 1 << circuit.qubits), numbers(*circuit.angle_shape, seed=1)
    for _ in range(10):
        sequence = faulty(circuit.gates(), 0.3, generator)
        angle_signs, out_signs = negated(sequence, circuit)
        wanted = reference(circuit, x, angles, sequence)
        assert torch.allclose(out_signs * reference(circuit, x, angles * angle_signs), wanted, atol=1e-12)


def test_pauli_gates_of_the_circuit_are_no_errors() -> None:
    x, angles = numbers(3, 4), numbers(2)
    found = measure(x, angles, PAULIS, "default.qubit", noise=Noise(depolarizing=1e-12), seed=0)
    assert torch.allclose(found, reference(PAULIS, x, angles), atol=1e-12)


def test_signs_are_refused_where_errors_do_not_pass_as_signs() -> None:
    circuit = Reuploading(2, 1)
    with pytest.raises(InputError, match="do not pass through RY"):
        negated(circuit.gates(), circuit)


def test_a_wiring_is_added_in_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ansatz.WIRINGS, "star", lambda n: [(0, k) for k in range(1, n)])
    for rotation in ansatz.ROTATIONS:
        circuit = Circuit(4, 3, rotation, "star")
        x, angles = numbers(3, 16), numbers(*circuit.angle_shape, seed=1)
        wanted = reference(circuit, x, angles)
        for device in ("torch", "lightning.qubit"):
            assert torch.allclose(expectations(x, angles, circuit, device), wanted, atol=1e-12)
        noisy = measure(x, angles, circuit, noise=Noise(depolarizing=0.1, patterns=1), seed=0)
        sequence = faulty(circuit.gates(), 0.1, torch.Generator().manual_seed(0))
        assert torch.allclose(noisy, reference(circuit, x, angles, sequence), atol=1e-12)
    assert circuit.gate_counts["CNOT"] == 9


def test_qaa_takes_every_rotation_and_wiring_of_the_circuits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ansatz.WIRINGS, "star", lambda n: [(0, k) for k in range(1, n)])
    for rotation in ansatz.ROTATIONS:
        config = QAAConfig(rotation=rotation, entangler="star", layers=2)
        adapter = config.adapter(6, 6)
        assert sum(p.numel() for p in adapter.parameters()) == config.parameters(6, 6)
        assert adapter.feature_map(torch.randn(2, 3, 6)).shape == (2, 3, 3)
    for name, value in (("entangler", "stars"), ("rotation", "RXRYY"), ("layers", 10**6), ("device", "lightning.qbit")):
        with pytest.raises(InputError, match=rf"^qaa\.{name}: "):
            QAAConfig(**{name: value})


def test_a_gate_is_added_in_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(gates.KINDS, "RZ", gates.Kind("Z", turned=True))
    monkeypatch.setitem(ansatz.ROTATIONS, "RYRZ", ("RY", "RZ"))
    circuit = Circuit(3, 2, "RYRZ")
    x, angles = numbers(3, 8), numbers(*circuit.angle_shape, seed=1)
    wanted = reference(circuit, x, angles)
    for device in ("torch", "lightning.qubit"):
        for gradient in ("adjoint", "parameter_shift"):
            found = expectations(x, angles, circuit, device, gradient=gradient)
            assert torch.allclose(found, wanted, atol=1e-12)
    assert circuit.gate_counts == {"RY": 6, "RZ": 6, "CNOT": 6}
