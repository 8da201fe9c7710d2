"""The circuits of Quantum-PEFT and QTHA, and what the report prints about circuits."""

import math

import pennylane as qml
import pytest
import torch

from ketune.circuits import (
    Circuit,
    Reuploading,
    TwoDesign,
    card,
    drawing,
    gradient_variance,
    reuploading_expectations,
    shots_for,
    two_design_columns,
)
from ketune.circuits.devices import apply
from ketune.ground.errors import InputError


def angles_for(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    return 2 * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("qubits", "layers"), [(1, 2), (2, 1), (3, 2), (5, 2), (6, 3), (4, 0)])
def test_two_design_columns_are_pennylanes(qubits: int, layers: int) -> None:
    angles = angles_for(TwoDesign(qubits, layers).angle_shape)
    columns = two_design_columns(angles, qubits, layers, 1 << qubits)

    @qml.qnode(qml.device("default.qubit", wires=qubits))
    def run(index: int) -> object:
        qml.BasisState([int(bit) for bit in f"{index:0{qubits}b}"], wires=range(qubits))
        if qubits > 1 and layers:
            weights = angles[qubits:].view(layers, qubits - 1, 2)
            qml.SimplifiedTwoDesign(angles[:qubits].numpy(), weights.numpy(), wires=range(qubits))
        else:
            apply(TwoDesign(qubits, layers).gates(), angles.tolist())
        return qml.state()

    for index in {0, 1, (1 << qubits) - 1}:
        assert torch.allclose(torch.as_tensor(run(index)), columns[:, index].to(torch.complex128), atol=1e-12)
    assert torch.allclose(columns.t() @ columns, torch.eye(1 << qubits, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(two_design_columns(angles, qubits, layers, 1), columns[:, :1], atol=1e-14)


def test_two_design_counts_and_gradient() -> None:
    assert [TwoDesign(*sizes).angle_shape for sizes in ((10, 1), (10, 2), (1, 5))] == [(28,), (46,), (1,)]
    assert sum(gate.angle is not None for gate in TwoDesign(10, 2).gates()) == 46
    angles = angles_for(TwoDesign(3, 2).angle_shape).requires_grad_()
    assert torch.autograd.gradcheck(lambda a: two_design_columns(a, 3, 2, 2), angles)
    single = two_design_columns(angles.detach().float(), 3, 2, 2)
    assert single.dtype == torch.float32 and (single - two_design_columns(angles, 3, 2, 2)).abs().max() < 1e-6


def test_two_design_refuses_what_does_not_fit() -> None:
    with pytest.raises(InputError, match="angles"):
        two_design_columns(torch.zeros(5), 3, 1, 2)
    with pytest.raises(InputError, match="columns"):
        two_design_columns(torch.zeros(7), 3, 1, 9)


@pytest.mark.parametrize("qubits", [1, 2, 3, 5])
def test_reuploading_is_pennylanes_circuit(qubits: int) -> None:
    circuit = Reuploading(qubits, 2)
    angles, inputs = angles_for(circuit.angle_shape), angles_for((3, qubits), seed=1)

    @qml.qnode(qml.device("default.qubit", wires=qubits))
    def run(row: torch.Tensor) -> list:
        for blocks in angles.tolist():
            for wire in range(qubits):
                qml.RY(row[wire].item(), wires=wire)
            for which, step in enumerate((1, -1)):
                if qubits > 1:
                    for wire in range(qubits):
                        qml.CRZ(blocks[2 * which][wire], wires=[wire, (wire + step) % qubits])
                rotation = blocks[2 * which + 1] if qubits > 1 else blocks[which]
                for wire in range(qubits):
                    qml.RY(rotation[wire], wires=wire)
        return [qml.expval(qml.PauliZ(wire)) for wire in range(qubits)]

    found = reuploading_expectations(inputs, angles)
    for row, z in zip(inputs, found, strict=True):
        assert torch.allclose(torch.stack([torch.as_tensor(v) for v in run(row)]), z, atol=1e-12)


def test_reuploading_gradient_dtype_and_errors() -> None:
    angles, inputs = angles_for((2, 4, 3)).requires_grad_(), angles_for((2, 3), seed=1).requires_grad_()
    assert torch.autograd.gradcheck(reuploading_expectations, (inputs, angles))
    exact = reuploading_expectations(inputs, angles)
    assert (reuploading_expectations(inputs.float(), angles.float()) - exact).abs().max() < 1e-6
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (reuploading_expectations(inputs.float(), angles.float()) - exact).abs().max() < 1e-6
    assert reuploading_expectations(inputs.bfloat16(), angles.float()).dtype == torch.bfloat16
    for bad_inputs, bad_angles in ((inputs[:0], angles), (inputs, angles[:, :3]), (inputs[0], angles)):
        with pytest.raises(InputError):
            reuploading_expectations(bad_inputs, bad_angles)
    with pytest.raises(InputError, match="NaN"):
        reuploading_expectations(inputs * math.nan, angles)


def test_the_records_of_reuploading_are_the_circuit() -> None:
    circuit = Reuploading(3, 2)
    assert math.prod(circuit.angle_shape) == 24 == sum(g.angle is not None for g in circuit.gates())
    assert circuit.gate_counts == {"RY": 18, "CRZ": 12}
    assert [g.input for g in circuit.gates() if g.input is not None] == [0, 1, 2, 0, 1, 2]
    angles, inputs = angles_for(circuit.angle_shape), angles_for((3,), seed=1)

    @qml.qnode(qml.device("default.qubit", wires=3))
    def run() -> list:
        apply(circuit.gates(), angles.view(-1).tolist(), inputs=inputs.tolist())
        return [qml.expval(qml.PauliZ(wire)) for wire in range(3)]

    wanted = torch.stack([torch.as_tensor(z) for z in run()])
    assert torch.allclose(reuploading_expectations(inputs[None], angles)[0], wanted, atol=1e-12)


def test_drawings_show_every_wire_and_gate() -> None:
    for circuit in (Circuit(3, 1), TwoDesign(4, 1), Reuploading(3, 1)):
        text = drawing(circuit)
        assert len(text.splitlines()) == circuit.qubits
        assert text.count("RX") + text.count("RY") == sum(len(g.wires) == 1 for g in circuit.gates())


def test_gradient_variance_shrinks_with_width_and_vanishes_at_zero() -> None:
    assert gradient_variance(Circuit(2)) > 4 * gradient_variance(Circuit(8)) > 0
    assert gradient_variance(Circuit(4), spread=0.0) < 1e-30
    assert gradient_variance(Circuit(4)) == gradient_variance(Circuit(4)) == card(Circuit(4))["gradient_variance"]
    assert "gradient_variance" not in card(Circuit(4), spread=None)


def test_shots_for_a_precision() -> None:
    assert (shots_for(0.01), shots_for(0.05), shots_for(1.0)) == (10_000, 400, 1)


def test_the_card_is_json() -> None:
    import json

    facts = card(Circuit(3, 2))
    assert json.loads(json.dumps(facts)) == facts
    assert facts["angles"] == 6 and facts["two_qubit_gates"] == 6
