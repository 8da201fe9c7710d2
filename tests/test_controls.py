"""QAA and its controls: nested in one another, and healthy: features without a mean, measured on training data."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import architectures
from architectures import ids, logits
from ketune import adapters, methods
from ketune.ground.errors import InputError
from ketune.tuners.feature_map import FeatureMapConfig
from ketune.tuners.moments import Moments
from ketune.tuners.residual import ResidualAdapter, measure_features, residual_adapters

FAMILY = ["qaa", *(name for name in methods.controls("qaa") if name != "base")]
every_arm = pytest.mark.parametrize("name", FAMILY)
every_featured_arm = pytest.mark.parametrize("name", [name for name in FAMILY if name != "bias_only"])


def section(name: str, **changes: Any) -> dict[str, Any]:
    """The method's defaults, centred and with a bias where that is open."""
    given = methods.defaults(name)
    wanted = {"centre": "data", "with_bias": True} | changes
    return given | {key: value for key, value in wanted.items() if key in given}


def attach(name: str, seed: int = 0, **changes: Any) -> nn.Module:
    torch.manual_seed(seed)
    return methods.load(name, section(name, **changes)).adapter.attach(architectures.model("llama"))


def batches() -> list[dict[str, torch.Tensor]]:
    """Two batches; the second ends in padding."""
    mask = torch.ones_like(ids())
    mask[1:, 4:] = 0
    return [{"input_ids": ids(), "attention_mask": torch.ones_like(ids())},
            {"input_ids": ids().flip(0), "attention_mask": mask}]  # fmt: skip


def prepared(name: str, **changes: Any) -> nn.Module:
    model = attach(name, **changes)
    methods.load(name, section(name, **changes)).adapter.prepare(model, batches())
    return model


def features(model: nn.Module) -> list[torch.Tensor]:
    """What each adapter's feature map gives at the positions of `batches` that are no padding, (positions, n)."""
    found: list[list[torch.Tensor]] = []
    for adapter in residual_adapters(model):
        found.append([])
        adapter.feature_map.register_forward_hook(lambda _, __, z, kept=found[-1]: kept.append(z.detach()))
    for batch in batches():
        with torch.no_grad():
            model.eval()(**batch)
    masks = [batch["attention_mask"].bool() for batch in batches()]
    return [torch.cat([z[mask] for z, mask in zip(seen, masks, strict=True)]) for seen in found]


@every_featured_arm
def test_the_mean_is_that_of_the_features_over_positions_that_are_no_padding(name: str) -> None:
    model = prepared(name)
    for adapter, z in zip(residual_adapters(model), features(model), strict=True):
        assert torch.allclose(adapter.mean, z.mean(0), atol=1e-5) and adapter.mean.any()


@every_arm
def test_without_the_option_nothing_is_subtracted_and_nothing_is_saved(name: str) -> None:
    model = prepared(name, centre="none", with_bias=False)
    assert not any("mean" in key or key.endswith(".bias") for key in model.state_dict())


@every_arm
def test_measuring_draws_nothing_changes_nothing_trained_and_repeats(name: str) -> None:
    model = attach(name).train()
    trained, state = [p.clone() for p in model.parameters()], torch.get_rng_state()
    measure_features(model, batches())
    assert torch.equal(torch.get_rng_state(), state) and model.training
    assert all(torch.equal(*pair) for pair in zip(model.parameters(), trained, strict=True))
    first = {key: value.clone() for key, value in model.state_dict().items() if key.endswith(".mean")}
    measure_features(model, batches())
    assert all(torch.equal(model.state_dict()[key], value) for key, value in first.items())


@every_featured_arm
def test_every_arm_without_its_projection_is_the_bias_alone(name: str) -> None:
    bias = torch.linspace(-1, 1, 24)
    alone, model = prepared("bias_only"), prepared(name)
    with torch.no_grad():
        for adapter in residual_adapters(alone):
            adapter.up.weight.copy_(bias[:, None])
        for adapter in residual_adapters(model):
            adapter.bias.copy_(bias)
    assert torch.allclose(logits(model), logits(alone), atol=1e-6)
    assert not torch.allclose(logits(alone), logits(architectures.model("llama")))


def randomised(model: nn.Module) -> nn.Module:
    """The model with weights in every up projection and bias, the same for equal shapes."""
    for adapter in residual_adapters(model):
        torch.manual_seed(7)
        nn.init.normal_(adapter.up.weight)
        nn.init.normal_(adapter.bias)
    return model


def with_angles(model: nn.Module, angles: list[torch.Tensor]) -> nn.Module:
    for adapter, values in zip(residual_adapters(model), angles, strict=True):
        with torch.no_grad():
            adapter.feature_map.angles.copy_(values)
    return model


@pytest.mark.parametrize(
    ("control", "original"),
    [("qaa_frozen", {}), ("qaa_zero", {"entangler": "ring"}), ("qaa_product", {"entangler": "none"})],
)
def test_controls_with_a_circuit_are_qaa_at_one_place(control: str, original: dict[str, Any]) -> None:
    """Given the control's angles, and its wiring, QAA is the control: same sites, same bias, same mean."""
    twin = attach(control)
    angles = [adapter.feature_map.angles for adapter in residual_adapters(twin)]
    whole = with_angles(attach("qaa", seed=5, **original), angles)
    for model in (twin, whole):
        measure_features(model, batches())
        randomised(model)
    assert torch.equal(logits(whole), logits(twin))


@every_featured_arm
def test_the_mean_is_saved_and_the_card_tells_the_features(name: str, tmp_path: Path) -> None:
    model = randomised(prepared(name))
    adapters.save(model, tmp_path / "run", name, section(name))
    assert torch.equal(logits(adapters.restore(tmp_path / "run", architectures.model("llama"))), logits(model))
    card, z = methods.adapter(name, section(name)).card(model), features(prepared(name))
    assert card["feature_mean_norm"] == pytest.approx(np.mean([float(x.mean(0).norm()) for x in z]), rel=1e-3)
    assert card["feature_deviation_norm"] == pytest.approx(
        np.mean([float((x - x.mean(0)).square().sum(1).mean().sqrt()) for x in z]), rel=1e-3
    )
    assert 1 <= card["feature_effective_rank"] <= z[0].shape[1]


def test_an_adapter_that_was_to_be_centred_and_was_not_is_told(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"qaa: no mean was taken.*ketune\.measure_features"):
        attach("qaa").save_pretrained(tmp_path)


@pytest.mark.parametrize("kind", ["linear", "random_linear", "silu"])
def test_classical_features_are_a_linear_map_and_in_the_bottleneck_its_silu(kind: Any) -> None:
    torch.manual_seed(0)
    feature_map, h = FeatureMapConfig(map=kind, rank=3).feature_map(24), torch.randn(5, 24)
    z = h @ feature_map.weight.T
    assert torch.allclose(feature_map(h), z * z.sigmoid() if kind == "silu" else z, atol=1e-6)


def test_a_constant_cannot_be_centred() -> None:
    for change in ({"centre": "data"}, {"with_bias": True}):
        with pytest.raises(InputError, match=r"feature_map.map: 'constant' is a bias itself"):
            FeatureMapConfig(map="constant", **change)


def test_moments_are_those_of_all_batches_together() -> None:
    x = np.random.default_rng(0).normal(size=(3, 10, 4)) @ np.diag([3.0, 2.0, 1.0, 0.5]) + 5
    mask = np.ones((3, 10), dtype=int)
    mask[2, 6:] = 0
    moments = Moments()
    for row, kept in zip(x, mask, strict=True):
        moments.add(torch.tensor(row[None]), torch.tensor(kept[None]))
    flat = x[mask.astype(bool)]
    values = np.linalg.eigvalsh(np.cov(flat.T, bias=True))
    shares = np.sqrt(values) / np.sqrt(values).sum()
    assert np.allclose(moments.mean, flat.mean(0))
    assert moments.facts() == pytest.approx({
        "feature_mean_norm": np.linalg.norm(flat.mean(0)),
        "feature_deviation_norm": np.sqrt(((flat - flat.mean(0)) ** 2).sum(1).mean()),
        "feature_effective_rank": np.exp(-(shares * np.log(shares)).sum()),
    })  # fmt: skip


@pytest.mark.parametrize(("scales", "rank"), [([1.0, 1.0, 1.0], 3.0), ([1.0, 0.0, 0.0], 1.0), ([0.0, 0.0, 0.0], 0.0)])
def test_effective_rank_counts_the_directions_that_vary(scales: list[float], rank: float) -> None:
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3) * torch.tensor(scales)
    moments = Moments()
    moments.add(corners[None], torch.ones(1, 8))
    assert moments.facts()["feature_effective_rank"] == pytest.approx(rank, abs=1e-6)


def test_a_centred_adapter_acts_on_what_its_features_are_beyond_the_mean() -> None:
    model = randomised(prepared("qaa", scale=2.5))
    adapter: ResidualAdapter = residual_adapters(model)[0]
    plain = copy.deepcopy(adapter)
    plain.mean = None
    h = torch.randn(2, 3, 24)
    shift = 2.5 * adapter.up.weight @ adapter.mean
    assert torch.allclose(plain(h) - shift, adapter(h), atol=1e-5)
