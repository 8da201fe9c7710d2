"""What the circuits are, mathematically, and what they answer to inputs that have no state."""

import math
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ketune.circuits import Circuit, Gate, Reuploading, expectations, measure, resolve
from ketune.circuits.closed_form import phases
from ketune.circuits.gates import Gates
from ketune.circuits.layout import signs
from ketune.circuits.parity import bit, permutation, strings
from ketune.ground.errors import InputError

BACKENDS = [("torch", "closed_form"), ("torch", "eager"), ("torch", "statevector"), ("lightning.qubit", "register"),
            ("lightning.qubit", "choi"), ("lightning.qubit", "phase")]  # fmt: skip


def draw(circuit: Circuit, batch: int = 3, width: int | None = None, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, width or 1 << circuit.qubits, generator=generator, dtype=torch.float64)
    return x, torch.randn(circuit.angle_shape, generator=generator, dtype=torch.float64)


@dataclass(frozen=True)
class Odd(Gates):
    """A circuit on two wires of any gates."""

    listed: tuple[Gate, ...]
    angles: int = 1
    qubits: int = 2

    @property
    def angle_shape(self) -> tuple[int, ...]:
        return (self.angles,)

    def gates(self) -> tuple[Gate, ...]:
        return self.listed


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        (Gate("RXX", (0,), angle=0), r"is none of RX, .*; choose one. Did you mean 'RX'"),
        (Gate("CNOT", (0, 0)), "it takes 2 of them, each another"),
        (Gate("RX", (0, 1), angle=0), "it takes 1 of them"),
        (Gate("RX", (2,), angle=0), "allowed are 0 to 1"),
        (Gate("RX", (-1,), angle=0), "allowed are 0 to 1"),
        (Gate("RX", (0,)), "it takes one angle"),
        (Gate("CNOT", (0, 1), angle=0), "it takes no angle"),
        (Gate("Hadamard", (0,), angle=0), "it takes no angle"),
        (Gate("RX", (0,), angle=1), "has angle 1; allowed are 0 to 0"),
    ],
)
def test_gates_that_make_no_sense_are_refused(gate: Gate, words: str) -> None:
    with pytest.raises(InputError, match=f"^circuit: {gate.name} on wires .*{words}"):
        expectations(torch.ones(1, 4), torch.zeros(1), Odd((gate,)))
    with pytest.raises(InputError, match=f"^circuit: {gate.name}"):
        measure(torch.ones(1, 4), torch.zeros(1), Odd((gate,)), shots=10)


def test_an_angle_that_turns_no_gate_is_refused() -> None:
    circuit = Odd((Gate("RY", (0,), angle=2), Gate("RY", (1,), angle=0)), angles=3)
    for call in (expectations, measure):
        with pytest.raises(InputError, match=r"^circuit: angle 1 of 3 turns no gate; give each angle a gate"):
            call(torch.ones(1, 4), torch.zeros(3), circuit)


@settings(max_examples=25)
@given(factor=st.floats(-100, 100).filter(lambda c: abs(c) > 1e-3), rotation=st.sampled_from(("RX", "RY", "RXRY")))
def test_blind_to_scale_and_sign(factor: float, rotation: str) -> None:
    circuit = Circuit(5, 2, rotation)
    x, angles = draw(circuit)
    assert torch.allclose(expectations(factor * x, angles, circuit), expectations(x, angles, circuit), atol=1e-13)


def test_the_inputs_gradient_is_orthogonal_to_the_input() -> None:
    circuit = Circuit(5, 2)
    x, angles = draw(circuit)
    x.requires_grad_()
    (d_x,) = torch.autograd.grad(expectations(x, angles, circuit).sum(), x)
    assert (x * d_x).sum(1).abs().max() < 1e-13 * d_x.abs().max() * 32


def test_without_cnots_the_angles_of_rx_only_scale_fixed_features() -> None:
    circuit = Circuit(5, layers=2, entangler="none")
    x, angles = draw(circuit)
    fixed = expectations(x, torch.zeros_like(angles), circuit)
    assert torch.allclose(expectations(x, angles, circuit), angles.sum(0).cos() * fixed, atol=1e-13)


@pytest.mark.parametrize("device_mode", BACKENDS)
@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e20, 1e30])
def test_tiny_and_huge_numbers_in_fp32(device_mode: tuple[str, str], scale: float) -> None:
    circuit = Circuit(3)
    x, angles = draw(circuit)
    z = expectations((x * scale).float(), angles.float(), circuit, device_mode[0], mode=device_mode[1])
    assert (z - expectations(x, angles, circuit)).abs().max() < 1e-5


def parity(x: Tensor, wires: list[int], qubits: int) -> Tensor:
    """⟨Π Z⟩ of the unrotated state."""
    return (x / x.norm(dim=1, keepdim=True)).square() @ signs(qubits, x.dtype, x.device)[wires].prod(0)


@pytest.mark.parametrize("qubits", [2, 3, 6])
def test_cnots_choose_which_parity_each_read_out_is(qubits: int) -> None:
    for entangler in ("chain", "ring"):
        circuit = Circuit(qubits, entangler=entangler)
        x, _ = draw(circuit)
        z = expectations(x, torch.zeros(circuit.angle_shape, dtype=x.dtype), circuit)
        for wire in range(qubits):
            around = entangler == "ring" and wire == 0
            wires = list(range(1, qubits)) if around else list(range(wire + 1))
            assert torch.allclose(z[:, wire], parity(x, wires, qubits), atol=1e-13)
            images = [permutation(circuit)[bit(w, qubits)] for w in range(qubits)]
            read = [w for w, image in enumerate(images) if image & bit(wire, qubits)]
            assert read == wires


def test_without_cnots_each_read_out_sees_its_own_qubit() -> None:
    circuit = Circuit(4, 2, "RX", "none")
    x, angles = draw(circuit)
    angles.requires_grad_()
    for wire in range(4):
        (gradient,) = torch.autograd.grad(expectations(x, angles, circuit)[:, wire].sum(), angles)
        assert gradient[:, [w for w in range(4) if w != wire]].abs().max() < 1e-15
        assert gradient[:, wire].abs().min() > 1e-4


@pytest.mark.parametrize("layers", [1, 3])
def test_rx_has_no_gradient_at_zero_and_ry_has(layers: int) -> None:
    for rotation, flat in (("RX", True), ("RY", False)):
        circuit = Circuit(6, layers, rotation)
        x, _ = draw(circuit)
        angles = torch.zeros(circuit.angle_shape, dtype=x.dtype, requires_grad=True)
        (gradient,) = torch.autograd.grad(expectations(x, angles, circuit).sum(), angles)
        assert bool((gradient.abs().max() < 1e-15) == flat)


def test_rx_does_not_know_the_sign_of_its_angles() -> None:
    circuit = Circuit(5, 3)
    x, angles = draw(circuit)
    assert torch.allclose(expectations(x, -angles, circuit), expectations(x, angles, circuit), atol=1e-14)


def test_deep_rx_circuits_are_one_diagonal() -> None:
    """U = C^L H diag(e^{-iΦ}) H, so angles of gates with the same Pauli string only act through their sum."""
    circuit = Circuit(3, 8)
    found = strings(circuit)
    assert len(set(found)) <= 7 < len(found)
    x, angles = draw(circuit)
    merged = torch.zeros_like(angles).view(-1)
    for index, string in enumerate(found):
        merged[found.index(string)] += angles.view(-1)[index]
    wanted = expectations(x, angles, circuit, mode="statevector")
    assert torch.allclose(expectations(x, merged.view_as(angles), circuit, mode="statevector"), wanted, atol=1e-12)
    assert torch.allclose(phases(merged.view_as(angles), circuit), phases(angles, circuit), atol=1e-12)


def test_features_are_small() -> None:
    circuit = Circuit.for_width(576)
    x, angles = draw(circuit, batch=64, width=576)
    rms = expectations(x, angles * math.pi, circuit).square().mean().sqrt().item()
    assert 0.3 * 2**-5 < rms < 4 * 2**-5


@pytest.mark.parametrize(("device", "mode"), BACKENDS)
def test_rows_of_zeros_give_zeros_and_no_gradient(device: str, mode: str) -> None:
    circuit = Circuit(3)
    for rows in (slice(1, 2), slice(0, 3)):
        x, angles = draw(circuit)
        x[rows] = 0
        x.requires_grad_()
        angles.requires_grad_()
        z = expectations(x, angles, circuit, device, mode=mode)
        d_x, d_angles = torch.autograd.grad(z.sum(), (x, angles))
        assert not z[rows].any() and not d_x[rows].any()
        assert d_x.isfinite().all() and d_angles.isfinite().all()


@pytest.mark.parametrize(("device", "mode"), BACKENDS)
def test_one_qubit_and_a_batch_of_one(device: str, mode: str) -> None:
    circuit = Circuit.for_width(1)
    assert circuit.qubits == 1
    theta = torch.tensor([[0.7]], dtype=torch.float64)
    z = expectations(torch.tensor([[3.0, 4.0]], dtype=torch.float64), theta, circuit, device, mode=mode)
    assert abs(z.item() - (0.36 - 0.64) * math.cos(0.7)) < 1e-12
    assert (
        abs(expectations(torch.ones(1, 1, dtype=torch.float64), theta, circuit, device, mode=mode) - math.cos(0.7))
        < 1e-12
    )


@pytest.mark.parametrize(("width", "qubits"), [(1, 1), (2, 1), (3, 2), (576, 10), (768, 10), (1024, 10), (1025, 11)])
def test_qubits_for_a_width(width: int, qubits: int) -> None:
    assert Circuit.for_width(width, layers=2).qubits == qubits


def test_gate_records() -> None:
    circuit = Circuit(4, 2, "RXRY", "ring")
    assert circuit.angle_shape == (2, 2, 4)
    assert circuit.gate_counts == {"RX": 8, "RY": 8, "CNOT": 8} and circuit.two_qubit_gates == 8
    assert sorted(gate.angle for gate in circuit.gates() if gate.angle is not None) == list(range(16))
    assert Circuit(4, 1, "RX", "chain").depth == 4 and Circuit(1, 3).two_qubit_gates == 0


GOOD = (torch.ones(2, 8), torch.zeros(1, 3), Circuit(3))


@pytest.mark.parametrize("device", ["auto", "lightning.qubit"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_without_a_state_are_refused(device: str, bad: float) -> None:
    x = GOOD[0].clone()
    x[1, 3] = bad
    with pytest.raises(InputError, match="NaN or infinity"):
        expectations(x, GOOD[1], GOOD[2], device)


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        ((torch.ones(0, 8), *GOOD[1:]), {}, "at least one row"),
        ((torch.ones(8), *GOOD[1:]), {}, "at least one row"),
        ((torch.ones(2, 9), *GOOD[1:]), {}, "hold 1 to 8"),
        ((torch.ones(2, 8, dtype=torch.long), *GOOD[1:]), {}, "floating point"),
        ((GOOD[0], torch.zeros(3), GOOD[2]), {}, "angles"),
        (GOOD, {"gradient": "adjiont"}, "Did you mean 'adjoint'"),
        (GOOD, {"device": "torch", "mode": "register"}, "closed_form, eager, statevector"),
        (GOOD, {"device": "lightning.qubit", "mode": "chio"}, "Did you mean 'choi'"),
        (GOOD, {"device": "lightning.qbit"}, "Did you mean 'lightning.qubit'"),
        ((GOOD[0], torch.zeros(1, 4, 3), Reuploading(3, 1)), {}, "hold 3 to 3"),
        ((torch.ones(2, 3), torch.zeros(1, 4, 3), Reuploading(3, 1)), {}, "enter as angles"),
    ],
)
def test_bad_requests_get_one_clear_sentence(arguments: tuple, options: dict, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        expectations(*arguments, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "fields", [{"qubits": 0}, {"layers": 0}, {"rotation": "RZ"}, {"entangler": "rings"}, {"qubits": 2.0}]
)
def test_bad_circuits_are_refused(fields: dict) -> None:
    with pytest.raises(InputError):
        Circuit(**fields)


def test_the_closed_form_is_refused_where_it_does_not_hold() -> None:
    for device, mode in (("torch", "closed_form"), ("lightning.qubit", "phase")):
        with pytest.raises(InputError, match="RX"):
            resolve(device, Circuit(3, 1, "RY"), mode)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, so lightning.gpu may work")
def test_an_absent_device_says_how_to_get_it() -> None:
    with pytest.raises(InputError, match="install it with pip install pennylane-lightning-gpu"):
        resolve("lightning.gpu", Circuit(3))


def test_auto_says_what_it_took() -> None:
    backend = resolve("auto", Circuit(3))
    assert backend.name in ("torch", "lightning.gpu") and "(auto:" in backend.description
    assert "\n" not in backend.description
    if not torch.cuda.is_available():
        assert (backend.name, backend.mode) == ("torch", "closed_form")
        assert resolve("auto", Circuit(3, 1, "RY")).mode == "statevector"


def test_auto_takes_lightning_gpu_only_where_a_probe_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    from ketune.circuits import backends

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for reason, name, mode in ((None, "lightning.gpu", "choi"), ("driver too old", "torch", "closed_form")):
        backends._decide.cache_clear()
        monkeypatch.setattr(backends.devices, "obstacle", lambda device, reason=reason: reason)
        monkeypatch.setattr(backends.devices, "make", lambda *_, **__: None)
        backend = resolve("auto", Circuit(3))
        assert (backend.name, backend.mode) == (name, mode)
        assert reason is None or reason in backend.description
    backends._decide.cache_clear()


def test_phase_mode_is_labelled_as_what_it_is() -> None:
    assert "contracted classically" in resolve("lightning.qubit", Circuit(3), "phase").description
