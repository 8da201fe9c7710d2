"""Every backend agrees with default.qubit in float64, in values and both gradients, whatever the input looks like."""

import subprocess
import sys
from itertools import product

import pennylane as qml
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmarks.usual import default_qubit, per_token
from ketune.circuits import Circuit, expectations
from ketune.circuits.ansatz import WIRINGS
from ketune.circuits.backends import CHOI_FROM, Backend
from ketune.circuits.devices import make

MODES = [("torch", mode) for mode in ("closed_form", "eager", "statevector")] + [
    (device, mode) for device in ("lightning.qubit", "default.qubit") for mode in ("register", "choi", "phase")
]
RX_ONLY = ("closed_form", "eager", "phase")
KINDS = ("random", "padded", "sparse", "one-hot", "equal")


def vectors(kind: str, batch: int, width: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Rows (B, d) of one kind."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, width, generator=generator, dtype=dtype)
    if kind == "padded":
        x[:, width // 2 :] = 0
        x[:, 0] += 1  # no row of zeros at width 1
    if kind == "sparse":
        x[torch.rand(x.shape, generator=generator) < 0.7] = 0
        x[:, -1] = 1
    if kind == "one-hot":
        x = torch.eye(width, dtype=dtype)[torch.randint(width, (batch,), generator=generator)]
    return torch.ones_like(x) if kind == "equal" else x


def gradients(evaluate, x: Tensor, angles: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    x, angles = x.detach().clone().requires_grad_(), angles.detach().clone().requires_grad_()
    z = evaluate(x, angles)
    return z.detach(), *torch.autograd.grad((z * weight.to(z)).sum(), (x, angles))


def case(circuit: Circuit, kind: str, batch: int = 4, seed: int = 0, width: int | None = None):
    width = width or (1 << circuit.qubits) - (2 if circuit.qubits > 2 else 0)
    generator = torch.Generator().manual_seed(seed + 1)
    angles = 2 * torch.randn(circuit.angle_shape, generator=generator, dtype=torch.float64)
    weight = torch.randn(batch, circuit.qubits, generator=generator, dtype=torch.float64)
    return vectors(kind, batch, width, seed), angles, weight


def ours(circuit: Circuit, device: str, mode: str, **options):
    return lambda x, angles: expectations(x, angles, circuit, device, mode=mode, **options)


def assert_close(found, wanted, value: float, gradient: float) -> None:
    for name, a, b, limit in zip(("z", "dL/dx", "dL/dangles"), found, wanted, (value, gradient, gradient), strict=True):
        error = (a.double() - b).abs().max().item()
        assert error <= limit * max(1, b.abs().max().item()), f"{name} is off by {error:.1e}"


CIRCUITS = [
    Circuit(qubits, layers, rotation, entangler)
    for qubits, layers in ((1, 1), (2, 2), (4, 1), (5, 3))
    for rotation, entangler in product(("RX", "RY", "RXRY"), ("ring", "chain", "none"))
]


@pytest.mark.parametrize(("device", "mode"), MODES)
def test_every_mode_agrees_with_default_qubit(device: str, mode: str) -> None:
    for index, circuit in enumerate(c for c in CIRCUITS if c.rotation == "RX" or mode not in RX_ONLY):
        x, angles, weight = case(circuit, KINDS[index % len(KINDS)], seed=index)
        wanted = gradients(default_qubit(circuit), x, angles, weight)
        assert_close(gradients(ours(circuit, device, mode), x, angles, weight), wanted, 1e-10, 1e-8)


@pytest.mark.parametrize(("device", "mode"), MODES)
def test_fp32_agrees_to_1e_5(device: str, mode: str) -> None:
    circuit = Circuit(8, 2)
    x, angles, weight = case(circuit, "random", batch=6, width=200)
    wanted = gradients(default_qubit(circuit), x, angles, weight)
    found = gradients(ours(circuit, device, mode), x.float(), angles.float(), weight)
    assert all(part.dtype == torch.float32 for part in found)
    assert_close(found, wanted, 1e-5, 1e-5)


@settings(max_examples=40)
@given(
    qubits=st.integers(1, 6),
    layers=st.integers(1, 5),
    rotation=st.sampled_from(("RX", "RY", "RXRY")),
    entangler=st.sampled_from(sorted(WIRINGS)),
    kind=st.sampled_from(KINDS),
    data=st.data(),
)
def test_torch_agrees_with_default_qubit_on_any_circuit(qubits, layers, rotation, entangler, kind, data) -> None:
    circuit = Circuit(qubits, layers, rotation, entangler)
    width, batch = data.draw(st.integers(1, 1 << qubits)), data.draw(st.integers(1, 5))
    x, angles, weight = case(circuit, kind, batch, data.draw(st.integers(0, 10**6)), width)
    wanted = gradients(default_qubit(circuit), x, angles, weight)
    for mode in ("closed_form", "eager", "statevector") if rotation == "RX" else ("statevector",):
        assert_close(gradients(ours(circuit, "torch", mode), x, angles, weight), wanted, 1e-10, 1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_the_real_width_agrees(kind: str) -> None:
    circuit = Circuit.for_width(576, layers=2)
    x, angles, weight = case(circuit, kind, batch=3, width=576)
    wanted = gradients(default_qubit(circuit), x, angles, weight)
    for device, mode in (("torch", "closed_form"), ("lightning.qubit", "register"), ("lightning.qubit", "phase")):
        assert_close(gradients(ours(circuit, device, mode), x, angles, weight), wanted, 1e-10, 1e-8)


@pytest.mark.parametrize("qubits", [11, 12, 13])
def test_wide_circuits_agree(qubits: int) -> None:
    for circuit in (Circuit(qubits, 2, "RX"), Circuit(qubits, 1, "RY", "chain")):
        x, angles, weight = case(circuit, "padded", batch=2, width=(1 << qubits) - 7)
        wanted = gradients(default_qubit(circuit), x, angles, weight)
        assert_close(gradients(ours(circuit, "torch", None), x, angles, weight), wanted, 1e-10, 1e-8)


def test_batches_are_cut_into_chunks_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = Circuit(4, 2)
    x, angles, weight = case(circuit, "random", batch=41)
    x[17] = 0
    weight[17] = 0
    monkeypatch.setattr("ketune.circuits.edges.CPU_CHUNK", 16)
    monkeypatch.setattr("ketune.circuits.statevector.CHUNK", 16)
    monkeypatch.setattr("ketune.circuits.modes.REGISTER_CHUNK", 16)
    keep = [row for row in range(41) if row != 17]
    wanted = gradients(default_qubit(circuit), x[keep], angles, weight[keep])
    for device, mode in MODES[:6]:
        z, d_x, d_angles = gradients(ours(circuit, device, mode), x, angles, weight)
        assert not z[17].any() and not d_x[17].any()
        assert_close((z[keep], d_x[keep], d_angles), wanted, 1e-10, 1e-8)


@pytest.mark.parametrize(("device", "mode"), MODES)
def test_parameter_shift_equals_adjoint(device: str, mode: str) -> None:
    for rotation in ("RX",) if mode in RX_ONLY else ("RX", "RXRY"):
        circuit = Circuit(3, 2, rotation)
        x, angles, weight = case(circuit, "random")
        shifted = gradients(ours(circuit, device, mode, gradient="parameter_shift"), x, angles, weight)
        assert_close(shifted, gradients(ours(circuit, device, mode), x, angles, weight), 1e-12, 1e-10)


@pytest.mark.parametrize(("gradient", "count"), [("adjoint", 1), ("parameter_shift", 2 + 2 * 6)])
def test_parameter_shift_evaluates_two_circuits_for_every_angle(
    gradient: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    circuit, found, evaluate = Circuit(3, 2), [], Backend.evaluate
    monkeypatch.setattr(Backend, "evaluate", lambda *given: found.append(given) or evaluate(*given))
    x, angles, weight = case(circuit, "random")
    gradients(ours(circuit, "torch", "statevector", gradient=gradient), x, angles, weight)
    assert len(found) == count
    found.clear()
    ours(circuit, "torch", "statevector", gradient=gradient)(x.requires_grad_(), angles).sum().backward()
    assert len(found) == (1 if gradient == "adjoint" else 2), "angles that need no gradient are turned"


def test_the_usual_path_agrees_where_it_works_and_gives_nan_where_inputs_are_padded() -> None:
    circuit = Circuit(3, 1)
    x, angles, weight = case(circuit, "random", batch=2, width=8)
    found = gradients(ours(circuit, "torch", None), x, angles, weight)
    # The state preparation is decomposed into arccosines there, which cost half of the digits.
    assert_close(found, gradients(per_token(circuit, "adjoint"), x, angles, weight), 1e-6, 1e-6)
    _, d_x, _ = gradients(per_token(circuit, "adjoint"), x[:, :4], angles, weight)
    assert d_x.isnan().any(), "PennyLane repaired this path: what the benchmarks say of it may go"


def test_pennylanes_own_template_is_the_same_circuit() -> None:
    circuit = Circuit(4, 3)
    x, angles, _ = case(circuit, "random", batch=2, width=16)

    @qml.qnode(make("default.qubit", 4))
    def template(vector: Tensor) -> list:
        qml.StatePrep(vector.numpy(), wires=range(4), normalize=True)
        qml.BasicEntanglerLayers(angles.numpy(), wires=range(4), rotation=qml.RX)
        return [qml.expval(qml.PauliZ(wire)) for wire in range(4)]

    wanted = torch.stack([torch.as_tensor(template(row)) for row in x])
    assert torch.allclose(expectations(x, angles, circuit), wanted, atol=1e-12)


@pytest.mark.parametrize("rotation", ["RX", "RY"])
def test_a_compiled_model_computes_the_same(rotation: str) -> None:
    circuit = Circuit(5, 2, rotation)
    x, angles, weight = case(circuit, "random", batch=9, width=30)
    compiled = torch.compile(ours(Circuit(5, 2, rotation), "auto", None), fullgraph=True, backend="aot_eager")
    wanted = gradients(ours(circuit, "auto", None), x, angles, weight)
    assert_close(gradients(compiled, x, angles, weight), wanted, 1e-14, 1e-14)
    for batch in (12, 15, CHOI_FROM):  # the first makes the size dynamic, the last is the other branch of `resolve`
        x, angles, weight = case(circuit, "random", batch=batch, width=30)
        wanted = gradients(ours(circuit, "auto", None), x, angles, weight)
        assert_close(gradients(compiled, x, angles, weight), wanted, 1e-14, 1e-14)


@pytest.mark.parametrize("rotation", ["RX", "RY", "RXRY"])
def test_autocast_and_half_precision_keep_the_state_in_fp32(rotation: str) -> None:
    circuit = Circuit(6, 2, rotation)
    x, angles, _ = case(circuit, "random", batch=5)
    x, angles = x.bfloat16(), angles.float()
    wanted = expectations(x.double(), angles.double(), circuit)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (expectations(x.float(), angles, circuit) - wanted).abs().max() < 1e-6
        z = expectations(x, angles, circuit)
    assert z.dtype == torch.bfloat16
    assert torch.equal(z, expectations(x.float(), angles, circuit).bfloat16())


@pytest.mark.parametrize(("device", "mode"), MODES[:5])
def test_training_follows_inference_mode(device: str, mode: str) -> None:
    circuit = Circuit(4, 7)  # sizes that no other test has left in a cache
    x, angles, weight = case(circuit, "random", batch=3, width=11)
    with torch.inference_mode():
        z = expectations(x, angles, circuit, device, mode=mode)
    assert torch.allclose(z, gradients(ours(circuit, device, mode), x, angles, weight)[0], atol=1e-14)


def test_importing_the_circuits_imports_no_pennylane() -> None:
    code = "import sys, ketune.circuits; sys.exit(any(m.split('.')[0] == 'pennylane' for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
