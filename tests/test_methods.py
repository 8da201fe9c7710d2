"""Every method against its contract: the closed form counts what is trained, a seed decides all that is drawn."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import TrainerState

import architectures
from architectures import THREE, ids
from ketune import counts, methods
from ketune.ground import params
from ketune.ground.checks import Range
from ketune.ground.errors import InputError
from ketune.training import cost
from ketune.tuning import setting

PARAMS = params.read(Path(__file__).parents[1] / "params.yaml")
NAMES = methods.names()
every_method = pytest.mark.parametrize("name", NAMES)


def load(name: str, **changes: Any) -> methods.ConfiguredMethod:
    """The method with the project's own values, at some rates; without a tokenizer, a prefix starts at random."""
    section = PARAMS[name] | ({"initialisation": "random"} if "initialisation" in PARAMS[name] else {})
    rates = {key: value for key, value in methods.defaults(name).items() if key == "learning_rates"}
    return methods.load(name, section | rates | changes)


def attach(name: str, architecture: str, seed: int = 0, **changes: Any) -> torch.nn.Module:
    model = architectures.model(architecture)
    torch.manual_seed(seed)
    return load(name, **changes).adapter.attach(model)


@pytest.mark.parametrize("architecture", THREE)
@every_method
def test_closed_form_counts_what_is_trained(name: str, architecture: str) -> None:
    sizes = counts.backbone(architectures.model(architecture))
    assert cost.count(attach(name, architecture)).trainable == load(name).adapter.expected_parameters(sizes)


@pytest.mark.parametrize(
    "name, changes",
    [
        ("qaa", {"layers": 3, "up_projection": "padded", "placement": "both"}),
        ("qaa_product", {"placement": "feedforward", "up_projection": "padded"}),
        ("qaa_frozen", {"placement": "both", "up_projection": "padded"}),
        ("quantum_peft", {"parameterization": "taylor", "rank": 3, "intrinsic_rank": 2}),
        ("quantum_peft", {"layers": 4}),
        ("qtha", {"r": 1, "bond": 3, "layers": 2}),
        ("qtha_silu", {"r": 3, "layers": 2}),
        ("lora_matched", {"placement": "both", "rank": 3}),
    ],
)
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_closed_form_with_other_values(name: str, changes: dict[str, Any], architecture: str) -> None:
    sizes = counts.backbone(architectures.model(architecture))
    trained = cost.count(attach(name, architecture, **changes)).trainable
    assert trained == load(name, **changes).adapter.expected_parameters(sizes)


def test_gpt_neo_125m_as_published() -> None:
    table = counts.table(counts.gpt_neo_125m())
    published = {label: (printed, ours) for label, printed, ours, _ in table if printed is not None}
    assert published.pop("SoRA, 82 of 96 ranks") == (125_337, 125_952)
    assert len(published) == 4 and all(printed == ours for printed, ours in published.values())
    padded = {label: (ours, receiving) for label, _, ours, receiving in table if receiving != ours}
    assert padded == dict.fromkeys(
        ["QAA, layers = 1, up_projection = padded", "QAA, as published, layers = 1"], (123_000, 92_280)
    )


COUNTS = {
    "qaa": 92_280, "qaa_published": 123_000, "qaa_frozen": 92_160, "qaa_zero": 92_160, "qaa_product": 92_280,
    "bias_only": 9_216, "random_linear": 92_160, "random_quadratic": 92_160, "lora_matched": 92_160,
    "silu_bottleneck": 92_160, "quantum_peft": 1_440, "qtha": 24 * 5_296,
}  # fmt: skip


def test_gpt_neo_125m_by_hand() -> None:
    config = counts.gpt_neo_125m()
    assert {name: counts.count(name, {}, config)[0] for name in COUNTS} == COUNTS
    assert counts.count("sora", {"r": 4}, config)[0] == 147_456 + 96


@pytest.mark.parametrize("name", [name for name in NAMES if methods.declared(name).adapter != "vera"])
def test_gpt_neo_125m_attached(name: str) -> None:
    """Not VeRA: peft draws its matrices on the CPU, which a model without weights cannot take."""
    config = counts.gpt_neo_125m()
    trained = cost.count(load(name).adapter.attach(counts.on_meta(config))).trainable
    assert trained == load(name).adapter.expected_parameters(counts.backbone(config))


def test_the_command_prints_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    counts.main()
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert "QAA, layers = 1, up_projection = padded 123,000 123,000 92,280".split() in lines
    assert "SoRA, 82 of 96 ranks 125,337 125,952 125,952".split() in lines


def drawn(name: str, seed: int) -> dict[str, torch.Tensor]:
    own = attach(name, "llama", seed).state_dict()
    base = {key for key in architectures.model("llama").state_dict()}
    plain = {key: key.removeprefix("base_model.model.").replace(".base_layer", "") for key in own}
    return {key: value for key, value in own.items() if plain[key] not in base}


@every_method
def test_the_seed_decides_what_is_drawn(name: str) -> None:
    first, again, other = drawn(name, 3), drawn(name, 3), drawn(name, 4)
    assert all(torch.equal(first[key], again[key]) for key in first)
    without_chance = {"base", "full", "bias_only", "qaa_zero", "ia3"}
    assert any(not torch.equal(first[key], other[key]) for key in first) == (name not in without_chance)


def test_the_change_of_lora_is_alpha_over_r_times_its_factors() -> None:
    layer = attach("lora", "llama", r=2, alpha=7.0).eval().base_model.model.model.layers[0].self_attn.q_proj
    down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    torch.nn.init.normal_(up)
    x = torch.randn(5, 24)
    assert torch.allclose(layer(x), layer.base_layer(x) + 3.5 * x @ down.T @ up.T, atol=1e-5)


@every_method
def test_every_trained_tensor_is_in_one_group_and_every_rate_has_some(name: str) -> None:
    model = attach(name, "llama")
    groups = load(name).parameter_groups(model)
    grouped = [id(p) for group in groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    needed = [part for part in methods.declared(name).rates if part not in methods.declared(name).optional]
    assert [group["rate"] for group in groups] == needed
    assert all(group["params"] and group["lr"] == load(name).learning_rates[group["rate"]] for group in groups)


def test_angles_have_a_rate_of_their_own() -> None:
    rates = {"projection": 0.001, "angles": 0.05}
    projection, angles = load("qaa", learning_rates=rates).parameter_groups(attach("qaa", "llama"))
    assert (projection["lr"], angles["lr"]) == (0.001, 0.05)
    assert [p.shape for p in angles["params"]] == [(1, 5), (1, 5)]


@pytest.mark.parametrize("name", [name for name in NAMES if methods.declared(name).optional])
def test_the_bias_takes_a_rate_of_its_own_or_that_of_the_weights_of_the_features(name: str) -> None:
    other = methods.defaults(name)["learning_rates"]
    shared = next(iter(other))
    model = attach(name, "llama", with_bias=True)
    biases = [parameter for path, parameter in model.named_parameters() if path.endswith(".bias")]
    own = load(name, with_bias=True, learning_rates=other | {"bias": 0.07}).parameter_groups(model)
    assert {group["rate"]: group["lr"] for group in own} == other | {"bias": 0.07}
    assert [id(p) for p in own[-1]["params"]] == [id(p) for p in biases] != []
    assert [group["rate"] for group in own if group["apart"]] == ["bias"]
    tied = load(name, with_bias=True, learning_rates=other).parameter_groups(model)
    assert {group["rate"]: group["lr"] for group in tied} == other
    assert not any(group["apart"] for group in tied)
    assert {id(p) for group in tied if group["rate"] == shared for p in group["params"]} >= {id(p) for p in biases}


def test_a_bias_that_is_no_adapters_has_no_rate_of_its_own() -> None:
    adapter = load("qaa", with_bias=True).adapter
    assert adapter.own_part("transformer.h.0.attn.c_proj.qaa_adapter.default.bias") == "bias"
    assert adapter.own_part("transformer.ln_f.modules_to_save.default.bias") is None


def test_tuned_rates_come_from_outside() -> None:
    section = PARAMS["qaa"] | {"learning_rates": {"projection": 0.002, "angles": "tuned"}}
    with pytest.raises(InputError, match=r"qaa.learning_rates.angles: 'tuned', but no rate has been tuned"):
        methods.load("qaa", section)
    assert methods.rates("qaa", section) == {"projection": 0.002, "angles": None}
    section["learning_rates"] = {"projection": 0.002, "angles": 0.03}
    assert methods.load("qaa", section).learning_rates == section["learning_rates"]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "base"])
def test_a_few_steps_lower_the_loss_on_a_frozen_bf16_backbone(name: str) -> None:
    torch.manual_seed(0)
    model = load(name).adapter.attach(architectures.model("llama").to(torch.bfloat16)).train()
    trained = [p for p in model.parameters() if p.requires_grad]
    assert trained and all(p.dtype == torch.float32 for p in trained)
    optimizer, losses = torch.optim.AdamW(trained, lr=0.02), []
    for step in range(1, 16):
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(input_ids=ids(), labels=ids()).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for callback in load(name).adapter.callbacks():
            state = TrainerState(global_step=step - 1, max_steps=15)
            callback.on_optimizer_step(None, state, None, model=model, optimizer=optimizer)
        losses.append(loss.item())
    assert min(losses[-3:]) < losses[0] - 0.005, losses


@every_method
def test_card_is_json(name: str) -> None:
    card = load(name).adapter.card(attach(name, "llama"))
    assert yaml.safe_load(yaml.safe_dump(card)) == card


@every_method
def test_declarations_are_whole(name: str) -> None:
    method = methods.declared(name)
    assert [other for other in NAMES if methods.declared(other).title == method.title] == [name]
    needed = method.rates.keys() - set(method.optional)
    assert methods.load(name, methods.defaults(name)).learning_rates.keys() == needed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"title": ""}, "title: an empty text is not allowed"),
        ({"source": None}, "source: None is not allowed; a text is expected"),
        ({"family": "clasical"}, r"family: 'clasical' .* choose one of .*Did you mean 'classical'\?"),
        ({"adapter": "loar"}, r"adapter: 'loar' is unknown; there are feature_map, .*Did you mean 'lora'\?"),
        ({"adapter": "sites"}, "adapter: 'sites' is unknown; there are feature_map"),
        ({"control_of": ("qa",)}, r"control_of: 'qa' is unknown; there are .*Did you mean 'qaa'\?"),
        ({"control_of": "qaa"}, r"control_of: 'qaa' is a text; a tuple is expected, \('qaa',\)"),
        ({"matches": "qua"}, r"matches: 'qua' is unknown; .*Did you mean 'qaa'\?"),
        ({"control_of": ("qaa",)}, "family: 'classical' is that of no control; choose control, or reference"),
        ({"control_of": ("qaa",), "family": "control", "isolates": ""}, "isolates: missing; a control says"),
        ({"optional": ("bias",)}, "optional: 'bias' is unknown; there are weights"),
        (
            {"rates": {"weights": Range(low=1e-4)}},
            r"rates.weights: Range\(.* is not allowed; a range of numbers above 0",
        ),
        (
            {"rates": {"weights": Range(0.0, 1.0)}},
            r"rates.weights: Range\(.* is not allowed; a range of numbers above 0",
        ),
        ({"rates": {"weights": 0.1}}, "rates.weights: 0.1 is not allowed; a range of numbers above 0"),
    ],
)
def test_a_declaration_that_is_not_whole_is_refused(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr(methods.lora, "METHOD", replace(methods.declared("lora"), **changes))
    with pytest.raises(InputError, match=f"^src/ketune/methods/lora.py, {message}"):
        methods.declared.__wrapped__("lora")


def test_a_file_without_a_declaration_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    methods.declared("lora")
    monkeypatch.delattr(methods.lora, "METHOD")
    with pytest.raises(InputError, match=r"^src/ketune/methods/lora.py: no METHOD = Method\(…\) in it"):
        methods.declared.__wrapped__("lora")


def test_what_is_fixed_is_a_setting_of_the_adapter(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = replace(methods.declared("lora"), fixed={"use_doar": False})
    monkeypatch.setattr(methods, "declared", lambda _: declared)
    with pytest.raises(
        InputError, match=r"^lora, fixed: 'use_doar' is unknown; there are r, .*Did you mean 'use_dora'"
    ):
        methods.adapter("lora", PARAMS["lora"])


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ({}, "^rates: 'weights' has trained weights and no rate; give one"),
        ({"weights": 0.1, "angles": 0.1}, "^rates: 'angles' has no trained weights; weights have"),
    ],
)
def test_every_trained_weight_has_a_rate_and_every_rate_a_weight(rates: dict[str, float], message: str) -> None:
    method = replace(load("lora"), learning_rates=rates)
    with pytest.raises(InputError, match=message):
        method.parameter_groups(attach("lora", "llama"))


@every_method
def test_departures_name_settings_that_the_method_has(name: str) -> None:
    method = methods.declared(name)
    for departure in method.departures:
        assert {*departure.where, *departure.unless} <= set(method.kind.settings())
        assert departure.text[0].isupper() and departure.text.endswith(".") and ". " not in departure.text


def test_a_departure_is_told_where_it_is_one() -> None:
    here = methods.departures("qaa", PARAMS["qaa"])
    published = {"up_projection": "padded", "unit_features": False, "centre": "none", "with_bias": False}
    assert len(here) == 4 and methods.departures("qaa", PARAMS["qaa"] | published) == here[:1]
    assert len(methods.departures("qaa", PARAMS["qaa"] | {"centre": "data"})) == 5
    pruned = "The smallest gates are zeroed on a schedule"
    assert any(text.startswith(pruned) for text in methods.departures("sora", PARAMS["sora"]))
    untargeted = methods.departures("sora", PARAMS["sora"] | {"target_ranks": None})
    assert untargeted and not any(text.startswith(pruned) for text in untargeted)


def test_a_search_is_the_same_wherever_circuits_run() -> None:
    kinds = {methods.declared(name).kind for name in NAMES}
    fields = [field for kind in kinds for field in getattr(kind, "__dataclass_fields__", {}).values()]
    assert {field.name for field in fields if field.metadata.get("runtime")} == {*setting.NO_MATTER} - {
        "learning_rates"
    }


def test_declarations_need_no_torch() -> None:
    script = (
        "import sys\nfrom ketune import methods\nassert [methods.declared(name) for name in methods.names()]\n"
        "assert methods.controls('qaa')\nassert not {'torch', 'peft', 'transformers'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


@pytest.mark.parametrize(
    "name, changes, message",
    [
        ("lora", {"r": 0}, r"lora.r: 0 is out of range; allowed is a number at least 1"),
        ("lora", {"rank": 4}, r"lora.rank: unknown key; lora has r, alpha"),
        ("lora", {"use_dora": True}, r"lora.use_dora: unknown key"),
        ("qaa", {"layers": "2"}, r"qaa.layers: '2'"),
        ("qaa", {"rotation": "RX", "angle_init": "zero"}, r"^qaa.angle_init: 'zero' never trains"),
        ("qaa", {"rotation": "RXRY", "angle_init": "zero"}, r"^qaa.angle_init: 'zero' never trains"),
        ("qaa_product", {"angle_init": "zero"}, r"^qaa_product.angle_init: 'zero' never trains"),
        ("qaa_product", {"device": "lightning.qbit"}, r"^qaa_product.device: .*lightning.qbit"),
        ("prefix", {"virtual_tokens": 0}, r"prefix.virtual_tokens: 0"),
        ("sora", {"sparsity_end": 0.1}, r"sora.sparsity_end: 0.1"),
        ("full", {"learning_rates": {"weights": 0}}, r"full.learning_rates.weights: 0"),
        ("full", {"learning_rates": 0.1}, r"full.learning_rates: 0.1 is no mapping"),
        ("qaa_zero", {"learning_rates": 0.1}, r"qaa_zero.learning_rates: 0.1 is no mapping"),
        (
            "qaa_zero",
            {"learning_rates": {"bias": 0.1}},
            r"qaa_zero.learning_rates.projection: missing; qaa_zero.learning_rates needs projection\.",
        ),
        (
            "qaa_zero",
            {"learning_rates": {"projection": 0.1, "biass": 0.1}},
            r"biass: unknown key; .* has projection, bias\. Did you mean 'bias'",
        ),
        (
            "qaa_zero",
            {"with_bias": False, "learning_rates": {"projection": 0.1, "bias": "tuned"}},
            r"qaa_zero.learning_rates.bias: with these settings qaa_zero has no bias; leave the key out .*'~qaa_zero",
        ),
        ("full", {"learning_rates": {"weight": 1.0}}, r"full.learning_rates.weight: unknown .*Did you mean 'weights'"),
    ],
)
def test_bad_sections_are_refused(name: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(name, **changes)


def test_backbone_of_a_model_without_blocks_is_refused() -> None:
    model = architectures.model("llama")
    model.config.num_hidden_layers = 7
    with pytest.raises(InputError, match="no list of 7 blocks"):
        counts.backbone(model)
