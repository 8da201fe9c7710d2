"""What QAA is, mathematically, and what its controls share with it."""

import math
from typing import Any

import pytest
import torch
from peft import get_peft_model

import architectures
from ketune import methods
from ketune.circuits import Noise, gradient_variance
from ketune.circuits.backends import Backend
from ketune.methods import load
from ketune.tuners.feature_map import LinearFeatures, QuadraticFeatures
from ketune.tuners.hardware import as_hardware
from ketune.tuners.qaa import CircuitFeatures, QAAConfig
from ketune.tuners.residual import ResidualAdapter


def features(width: int, **values: Any) -> CircuitFeatures:
    torch.manual_seed(0)
    found = QAAConfig(**values).feature_map(width)
    assert isinstance(found, CircuitFeatures)
    return found


@pytest.mark.parametrize(("start", "spread"), [("uniform", math.pi), ("small", 0.01), ("zero", 0.0)])
def test_angles_are_drawn_on_both_sides_of_0(start: Any, spread: float) -> None:
    angles = features(1024, layers=20, rotation="RY", angle_init=start).angles.detach() / (spread or 1)
    assert angles.numel() == 200 and angles.abs().max() <= 1
    assert (angles.min() < -0.9 and angles.max() > 0.9 and angles.mean().abs() < 0.2) if spread else not angles.any()


@pytest.mark.parametrize("rotation", ["RX", "RY"])
def test_qaa_is_blind_to_scale_and_sign(rotation: str) -> None:
    z, h = features(24, rotation=rotation), torch.randn(6, 24)
    for factor in (-1.0, 1e-3, 1e4):
        assert torch.allclose(z(h), z(factor * h), atol=1e-6)


def test_qaa_without_angles_reads_parities_of_the_squares() -> None:
    z, h = features(8, rotation="RX", entangler="chain", angle_init="zero", train_angles=False), torch.randn(5, 8)
    square = h.square() / h.square().sum(-1, keepdim=True)
    bits = [[(i >> (2 - k)) & 1 for i in range(8)] for k in range(3)]
    signs = torch.tensor([[(-1.0) ** sum(bits[j][i] for j in range(k + 1)) for i in range(8)] for k in range(3)])
    assert torch.allclose(z(h), square @ signs.T, atol=1e-6)


def test_zero_vectors_do_not_poison_the_batch() -> None:
    h = torch.randn(4, 24)
    h[2] = 0
    h.requires_grad_()
    z = features(24)
    z(h).sum().backward()
    assert torch.isfinite(h.grad).all() and torch.isfinite(z.angles.grad).all()


def test_unit_features_only_rescale() -> None:
    h = torch.randn(4, 24)
    assert torch.allclose(features(24, unit_features=True)(h), features(24)(h) * 2**2.5)


def test_padded_rows_are_dead_and_change_nothing() -> None:
    torch.manual_seed(0)
    padded = ResidualAdapter(features(24), 24, 32, QAAConfig(init_weights=False))
    exact = ResidualAdapter(features(24), 24, 24, QAAConfig())
    with torch.no_grad():
        exact.up.weight.copy_(padded.up.weight[:24])
    h = torch.randn(3, 5, 24)
    assert torch.equal(padded(h), exact(h))
    padded(h).square().sum().backward()
    assert padded.dead_parameters == 8 * 5 == int((padded.up.weight.grad == 0).sum())
    assert exact.dead_parameters == 0


def test_frozen_angles_and_fixed_maps_are_saved_but_not_trained() -> None:
    frozen = features(24, train_angles=False)
    assert not list(frozen.parameters()) and set(frozen.state_dict()) == {"angles"}
    fixed = LinearFeatures(24, 5, trained=False)
    assert not list(fixed.parameters()) and set(fixed.state_dict()) == {"weight"}


@pytest.mark.parametrize("name", [name for name in methods.controls("qaa") if name != "base"])
def test_controls_of_qaa_share_everything_but_the_feature_map(name: str) -> None:
    model = load(name, methods.defaults(name)).adapter.attach(architectures.model("llama"))
    adapters = {n: m for n, m in model.named_modules() if isinstance(m, ResidualAdapter)}
    assert all("self_attn.o_proj" in n for n in adapters) and len(adapters) == 2
    assert all(m.up.weight.shape[0] == 24 and not m.up.weight.any() for m in adapters.values())


def test_random_quadratic_is_normalised() -> None:
    torch.manual_seed(0)
    f, h = QuadraticFeatures(24, 5), torch.randn(4, 24)
    expected = (h @ f.a.T) * (h @ f.b.T) / h.square().sum(-1, keepdim=True)
    assert torch.allclose(f(h), expected, atol=1e-6) and torch.allclose(f(h), f(-3 * h), atol=1e-5)
    assert torch.equal(f(torch.zeros(1, 24)), torch.zeros(1, 5))


def test_parameter_shift_gives_the_gradient_of_adjoint(monkeypatch: pytest.MonkeyPatch) -> None:
    gradients, evaluations, evaluate = [], [], Backend.evaluate
    monkeypatch.setattr(Backend, "evaluate", lambda *given: evaluations.append(1) or evaluate(*given))
    for gradient, count in (("adjoint", 1), ("parameter_shift", 2 + 2 * 3)):
        evaluations.clear()
        torch.manual_seed(0)
        linear = torch.nn.Sequential(torch.nn.Linear(6, 6))
        model = get_peft_model(linear, QAAConfig(target_modules=["0"], gradient=gradient, init_weights=False))
        model(torch.randn(5, 6)).square().sum().backward()
        assert len(evaluations) == count
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.requires_grad]))
    assert gradients[0].abs().max() > 0
    assert torch.allclose(*gradients, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "changes", "spread"),
    [
        ("qaa", {}, math.pi),
        ("qaa", {"angle_init": "small"}, 0.01),
        ("qaa", {"angle_init": "zero", "rotation": "RY"}, 0.0),
        ("qaa_frozen", {}, None),
        ("qaa_zero", {}, None),
    ],
)
def test_a_card_tells_the_gradient_of_angles_as_they_were_drawn(
    name: str, changes: dict[str, Any], spread: float | None
) -> None:
    method = load(name, methods.defaults(name) | changes)
    card = method.adapter.card(method.adapter.attach(architectures.model("llama")))
    circuit = method.adapter.circuit(24)
    wanted = {} if spread is None else {"gradient_variance": gradient_variance(circuit, spread=spread)}
    assert {key: value for key, value in card.items() if key == "gradient_variance"} == wanted
    if name == "qaa" and not changes:
        assert card["gradient_variance"] == gradient_variance(circuit)


def test_shots_and_noise_are_read_only_within_the_block() -> None:
    torch.manual_seed(0)
    linear = torch.nn.Sequential(torch.nn.Linear(6, 6))
    model = get_peft_model(linear, QAAConfig(target_modules=["0"], init_weights=False)).eval()
    x = torch.randn(5, 6)
    with torch.no_grad():
        exact = model(x)
        with as_hardware(model, shots=100_000):
            many = model(x)
        with as_hardware(model, shots=10):
            few = model(x)
        with as_hardware(model, noise=Noise(depolarizing=0.2)):
            noisy = model(x)
        assert torch.equal(model(x), exact)
    assert 0 < (many - exact).norm() < 0.3 * (few - exact).norm()
    assert (noisy - exact).norm() > 0
