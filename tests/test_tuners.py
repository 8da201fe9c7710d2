"""Every adapter of ketune keeps peft's contract, on three architectures and outside of any."""

import copy
import json
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, PeftType, get_peft_model, save_as_lora
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from transformers import BertConfig, BertModel, MambaConfig, MambaForCausalLM

import architectures
from architectures import CONFIGS, THREE, ids, logits
from ketune import methods
from ketune.counts import backbone
from ketune.ground.errors import InputError
from ketune.tuners import registration, sites
from ketune.tuners.feature_map import FeatureMapConfig
from ketune.tuners.layers import AdapterLayer, WeightLayer
from ketune.tuners.qaa import QAAConfig, QAAModel
from ketune.tuners.qtha import QTHAConfig
from ketune.tuners.quantum_peft import QuantumPEFTConfig
from ketune.tuners.sora import SoRAConfig
from ketune.tuners.tuner import AdapterConfig, Tuner

VARIANTS: dict[str, tuple[type[AdapterConfig], dict[str, Any]]] = {
    "qaa": (QAAConfig, {}),
    "qaa_ry": (QAAConfig, {"rotation": "RY", "layers": 2, "entangler": "chain", "placement": "both"}),
    "qaa_padded": (QAAConfig, {"up_projection": "padded", "unit_features": True}),
    "qaa_frozen": (QAAConfig, {"train_angles": False, "entangler": "none", "placement": "feedforward"}),
    "sora": (SoRAConfig, {"r": 4}),
    "pauli": (QuantumPEFTConfig, {"rank": 3}),
    "taylor": (QuantumPEFTConfig, {"rank": 3, "parameterization": "taylor", "intrinsic_rank": 2}),
    "random_columns": (QuantumPEFTConfig, {"rank": 3, "parameterization": "random"}),
    "qtha": (QTHAConfig, {"r": 3, "bond": 2}),
    "qtha_silu": (QTHAConfig, {"r": 3, "bond": 2, "network": "silu"}),
    "qtha_none": (QTHAConfig, {"r": 3, "bond": 2, "network": "none"}),
    "bias_only": (FeatureMapConfig, {"map": "constant"}),
    "lora_matched": (FeatureMapConfig, {"map": "linear", "rank": 2}),
    "random_linear": (FeatureMapConfig, {"map": "random_linear"}),
    "random_quadratic": (FeatureMapConfig, {"map": "random_quadratic"}),
    "silu_bottleneck": (FeatureMapConfig, {"map": "silu", "rank": 2}),
}
MERGEABLE = ("sora", "pauli", "taylor", "random_columns")
every_variant = pytest.mark.parametrize("variant", VARIANTS)
three = pytest.mark.parametrize("architecture", THREE)


def make(variant: str, **more: Any) -> AdapterConfig:
    kind, options = VARIANTS[variant]
    return kind(task_type="CAUSAL_LM", **{**options, **more})


def adapt(architecture: str, variant: str, **more: Any) -> PeftModel:
    torch.manual_seed(1)
    return get_peft_model(architectures.model(architecture), make(variant, **more))


def train(model: nn.Module, steps: int = 3) -> dict[str, bool]:
    """Whether each trainable tensor received a gradient other than 0 in one of the steps."""
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.AdamW(trainable.values(), lr=0.02)
    received = dict.fromkeys(trainable, False)
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        model(input_ids=ids(), labels=ids()).loss.backward()
        for name, p in trainable.items():
            received[name] |= p.grad is not None and bool(p.grad.count_nonzero())
        optimizer.step()
    return received


@three
@every_variant
def test_life_of_an_adapter(architecture: str, variant: str, tmp_path: Path) -> None:
    base = architectures.model(architecture)
    before = {name: p.clone() for name, p in base.named_parameters()}
    untuned = logits(base)
    model = adapt(architecture, variant)
    assert torch.equal(logits(model), untuned), "the start is not the identity"
    received = train(model)
    assert received and all(received.values()), [name for name, got in received.items() if not got]
    for name, weight in model.named_parameters():
        if not weight.requires_grad:
            plain = name.removeprefix("base_model.model.").replace(".base_layer", "")
            assert torch.equal(weight, before[plain]), f"{name} changed"
    tuned = logits(model)
    assert not torch.allclose(tuned, untuned)
    with model.disable_adapter():
        assert torch.equal(logits(model), untuned)
    model.save_pretrained(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    again = PeftModel.from_pretrained(architectures.model(architecture), str(tmp_path))
    assert torch.equal(logits(again), tuned)
    assert torch.equal(logits(model.unload()), untuned)


@three
@pytest.mark.parametrize("variant", MERGEABLE)
def test_merge_is_exact_and_unmerge_restores_every_bit(architecture: str, variant: str) -> None:
    model = adapt(architecture, variant, init_weights=False)
    tuned, weights = logits(model), copy.deepcopy(model.state_dict())
    model.merge_adapter(safe_merge=True)
    assert torch.allclose(logits(model), tuned, atol=1e-5)
    with model.disable_adapter():
        pass
    model.unmerge_adapter()
    assert all(torch.equal(weight, weights[name]) for name, weight in model.state_dict().items())
    merged = model.merge_and_unload()
    assert not any(isinstance(module, BaseTunerLayer) for module in merged.modules())
    assert torch.allclose(logits(merged), tuned, atol=1e-5)


def test_a_safe_merge_that_fails_leaves_the_weight() -> None:
    model = adapt("llama", "pauli")
    model.add_adapter("broken", make("pauli"))
    model.base_model.set_adapter(["default", "broken"])
    layer = next(module for module in model.modules() if isinstance(module, WeightLayer))
    with torch.no_grad():
        layer.adapters["broken"].diagonal.fill_(torch.nan)
    before = layer.weight.clone()
    with pytest.raises(ValueError, match="broken"):
        layer.merge(safe_merge=True)
    assert torch.equal(layer.weight, before) and not layer.merged_adapters


@every_variant
def test_a_copy_of_data_parallel_computes_the_same(variant: str) -> None:
    """As torch's `replicate` leaves it: weights are attributes, no parameters."""
    model = adapt("llama", variant, init_weights=False)
    expected = logits(model)
    for module in model.modules():
        weights = {name: one if one is None else one.detach() for name, one in module._parameters.items()}
        module._parameters, module._former_parameters = {}, weights
        vars(module).update(weights)
    assert torch.equal(logits(model), expected)


def test_disabling_a_merged_adapter_gives_the_base_model() -> None:
    model = adapt("llama", "sora", init_weights=False)
    model.merge_adapter()
    with model.disable_adapter():
        assert torch.equal(logits(model), logits(architectures.model("llama")))


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name not in MERGEABLE])
def test_what_cannot_be_merged_says_so_and_stays_whole(variant: str) -> None:
    model = adapt("llama", variant, init_weights=False)
    tuned = logits(model)
    for attempt in (model.merge_adapter, model.merge_and_unload, lambda: model.merge_and_unload(safe_merge=True)):
        with pytest.raises(NotImplementedError, match="in general no linear map, is not merged"):
            attempt()
    assert torch.equal(logits(model), tuned)


@every_variant
def test_two_named_adapters(variant: str, tmp_path: Path) -> None:
    model = adapt("gpt_neo", variant, init_weights=False)
    first = logits(model)
    model.add_adapter("second", make(variant, init_weights=False))
    assert torch.equal(logits(model), first), "the new adapter acts before it is active"
    model.set_adapter("second")
    second = logits(model)
    assert not torch.allclose(first, second)
    assert all(".second." in name for name, p in model.named_parameters() if p.requires_grad)
    model.save_pretrained(tmp_path, selected_adapters=["second"])
    loaded = PeftModel.from_pretrained(architectures.model("gpt_neo"), str(tmp_path / "second"), adapter_name="third")
    assert torch.equal(logits(loaded), second), "the weights depend on the adapter's name"
    model.set_adapter("default")
    model.delete_adapter("second")
    assert torch.equal(logits(model), first)
    assert not any("second" in name for name in model.state_dict())


@every_variant
def test_active_adapters_add_up(variant: str) -> None:
    torch.manual_seed(1)
    kind, options = VARIANTS[variant]
    model, x = nn.Sequential(nn.Linear(9, 13)), torch.randn(4, 9)
    base = model(x)
    first, second = (kind(target_modules=["0"], init_weights=False, **options) for _ in range(2))
    model = get_peft_model(model, first)
    model.add_adapter("second", second)
    changes = []
    for names in (["default"], ["second"], ["default", "second"]):
        model.base_model.set_adapter(names)
        changes.append(model(x) - base)
    assert torch.allclose(changes[0] + changes[1], changes[2], atol=1e-5)


@pytest.mark.parametrize("kind", [SoRAConfig, QTHAConfig])
def test_inputs_are_dropped_in_training_as_often_as_set(kind: type[AdapterConfig]) -> None:
    adapter, x = kind(dropout=0.4, init_weights=False).adapter(20, 28), torch.randn(50, 20)
    torch.manual_seed(0)
    found = adapter.train()(x)
    torch.manual_seed(0)
    assert torch.equal(found, adapter.eval()(nn.functional.dropout(x, 0.4)))


@three
@pytest.mark.parametrize("variant", ["qaa", "qaa_ry", "sora", "pauli", "qtha"])
def test_generation_with_and_without_cache(architecture: str, variant: str) -> None:
    model = adapt(architecture, variant, init_weights=False).eval()
    options = {"input_ids": ids(), "attention_mask": torch.ones_like(ids()), "max_new_tokens": 5, "do_sample": False}
    assert torch.equal(model.generate(**options, use_cache=True), model.generate(**options, use_cache=False))


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("variant", ["qaa", "qaa_ry", "sora", "pauli", "taylor", "qtha", "silu_bottleneck"])
def test_gradient_checkpointing_changes_nothing(variant: str, reentrant: bool) -> None:
    gradients = []
    for checkpointing in (False, True):
        model = adapt("llama", variant, init_weights=False).train()
        if checkpointing:
            model.enable_input_require_grads()
            model.gradient_checkpointing_enable({"use_reentrant": reentrant})
        model(input_ids=ids(), labels=ids(), use_cache=False).loss.backward()
        gradients.append([p.grad for p in model.parameters() if p.requires_grad])
    assert all(torch.allclose(a, b, atol=1e-7) for a, b in zip(*gradients, strict=True))


INFERENCE_FIRST = [
    QAAConfig(target_modules=["0"]),
    QAAConfig(target_modules=["0"], rotation="RY"),
    QuantumPEFTConfig(target_modules=["0"], layers=3),
    QTHAConfig(target_modules=["0"], r=5),
]


@pytest.mark.parametrize("config", INFERENCE_FIRST)
def test_training_after_inference_mode(config: AdapterConfig) -> None:
    """What is kept from a first call must not be unusable in training; sizes here are in no other test, so unkept."""
    model = get_peft_model(nn.Sequential(nn.Linear(70, 70)), copy.deepcopy(config))
    x = torch.randn(3, 70)
    with torch.inference_mode():
        model(x)
    model(x).square().sum().backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


@every_variant
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_every_float_dtype(variant: str, dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    model = get_peft_model(architectures.model("llama").to(dtype), make(variant, init_weights=False))
    adapters = {p.dtype for p in model.parameters() if p.requires_grad}
    assert adapters == {torch.float64 if dtype == torch.float64 else torch.float32}
    assert logits(model).dtype == dtype
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        loss = model(input_ids=ids(), labels=ids()).loss
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.requires_grad)


@every_variant
def test_shapes_are_told_on_the_meta_device(variant: str) -> None:
    model = adapt("llama", variant).to("meta")
    result = model(input_ids=ids().to("meta"), labels=ids().to("meta"))
    assert result.logits.is_meta and result.logits.shape == logits(architectures.model("llama")).shape
    result.loss.backward()
    assert all(p.grad is not None and p.grad.is_meta for p in model.parameters() if p.requires_grad)


@every_variant
def test_outside_a_transformer(variant: str) -> None:
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(9, 13), nn.Tanh(), nn.Linear(13, 5))
    x = torch.randn(4, 9)
    untuned = net(x)
    kind, options = VARIANTS[variant]
    model = get_peft_model(net, kind(target_modules=["0"], **options))
    assert torch.equal(model(x), untuned)
    assert isinstance(net[0], BaseTunerLayer) and not isinstance(net[2], BaseTunerLayer)


@every_variant
@pytest.mark.parametrize("shape", [(0, 9), (2, 0, 9), (0, 4, 9)])
def test_no_tokens_give_no_tokens(variant: str, shape: tuple[int, ...]) -> None:
    kind, options = VARIANTS[variant]
    model = get_peft_model(nn.Sequential(nn.Linear(9, 13)), kind(target_modules=["0"], init_weights=False, **options))
    found = model(torch.zeros(shape))
    assert found.shape == (*shape[:-1], 13)
    found.sum().backward()


def test_fresh_process_loads_what_the_card_says(tmp_path: Path) -> None:
    model = adapt("gpt2", "qtha", init_weights=False)
    architectures.model("gpt2").save_pretrained(tmp_path / "base")
    model.save_pretrained(tmp_path / "adapter")
    torch.save((ids(), logits(model)), tmp_path / "expected.pt")
    card = (tmp_path / "adapter/README.md").read_text()
    snippet = card.split("```python\n")[-1].split("```")[0]
    assert "QTHA" in card and "ketune" in card
    script = (
        "import sys, torch\nfrom transformers import AutoModelForCausalLM\n"
        "base_model, folder = AutoModelForCausalLM.from_pretrained('base'), 'adapter'\n" + snippet
        + "ids, expected = torch.load('expected.pt')\nassert torch.equal(model(input_ids=ids).logits, expected)\n"
    )  # fmt: skip
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, timeout=120)


def test_saved_bytes_do_not_depend_on_order_or_time(tmp_path: Path) -> None:
    for number, names in enumerate((["o_proj", "down_proj", "q_proj"], ["q_proj", "o_proj", "down_proj"])):
        torch.manual_seed(1)
        config = QAAConfig(task_type="CAUSAL_LM", target_modules=names)
        get_peft_model(architectures.model("llama"), config).save_pretrained(tmp_path / str(number))
    first, second = ({f.name: f.read_bytes() for f in (tmp_path / n).iterdir()} for n in ("0", "1"))
    assert first == second
    assert json.loads(first["adapter_config.json"])["target_modules"] == ["down_proj", "o_proj", "q_proj"]


def test_mixed_batches_are_refused() -> None:
    with pytest.raises(InputError, match="cannot be mixed"):
        adapt("llama", "qaa")(input_ids=ids(), adapter_names=["default"] * 3)


def test_lora_drops_inputs_as_its_section_says() -> None:
    model = methods.adapter("lora", methods.defaults("lora") | {"dropout": 0.4}).attach(architectures.model("llama"))
    found = [module.p for name, module in model.named_modules() if name.endswith("lora_dropout.default")]
    assert found and set(found) == {0.4}


@pytest.mark.parametrize(("architecture", "name"), [("gpt2", "resid_pdrop"), ("opt", "dropout"),
                                                    ("gpt_neox", "hidden_dropout")])  # fmt: skip
def test_residual_dropout_is_reported(architecture: str, name: str) -> None:
    noisy = architectures.model(architecture)
    setattr(noisy.config, name, 0.1)
    with pytest.warns(UserWarning, match=r"residual dropout is 0\.1"):
        get_peft_model(noisy, make("qaa"))


@pytest.mark.parametrize("architecture", CONFIGS)
@pytest.mark.parametrize("word", ["attention", "feedforward", "query_value", "key_value"])
def test_every_site_exists_once_in_every_block(architecture: str, word: str) -> None:
    model = architectures.model(architecture)
    if not getattr(sites.SITES[architecture], word):
        with pytest.raises(InputError, match="experts hold theirs in one tensor"):
            sites.targets(architecture, word)
        return
    for suffix in sites.targets(architecture, word):
        config = LoraConfig(target_modules=[suffix])
        found = get_peft_model(copy.deepcopy(model), config).base_model.targeted_module_names
        assert len(found) == 2, f"{suffix} hits {found}"


def test_the_tables_cover_each_other() -> None:
    assert set(CONFIGS) == set(sites.SITES)


@pytest.mark.parametrize("architecture", CONFIGS)
@pytest.mark.parametrize("variant", ["qaa", "qtha"])
@pytest.mark.filterwarnings("error:target_modules")
def test_every_architecture_trains_by_default_where_the_closed_form_counts(architecture: str, variant: str) -> None:
    model = adapt(architecture, variant)
    assert all(train(model, steps=2).values())
    counted = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert make(variant).expected_parameters(backbone(CONFIGS[architecture])) == counted


@pytest.mark.parametrize(("targets", "warned"), [(["q_proj"], True), (["down_proj", "o_proj"], False), (None, False)])
def test_an_adapter_inside_of_a_block_is_told(targets: list[str] | None, warned: bool) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        get_peft_model(architectures.model("llama"), make("qaa", target_modules=targets))
    assert any("end no block" in str(one.message) for one in caught) == warned


def test_an_adapter_inside_of_an_unknown_block_is_told_by_its_width() -> None:
    bert = BertModel(BertConfig(hidden_size=24, intermediate_size=40, num_hidden_layers=1, num_attention_heads=4,
                                vocab_size=8, hidden_dropout_prob=0.0))  # fmt: skip
    with pytest.warns(UserWarning, match=r"1 maps, encoder.layer.0.intermediate.dense"):
        get_peft_model(bert, QAAConfig(target_modules=["dense"]))


@pytest.mark.parametrize("variant", MERGEABLE)
def test_quantised_weights_refuse_a_merge_and_stay_whole(variant: str) -> None:
    """Numbers of eight bits, as quantised layers hold them, with the scale that only their forward pass knows."""

    class Eight(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.linear(x, self.weight.to(x.dtype) / 100, self.bias)

    layer = Eight(8, 8)
    layer.weight = nn.Parameter((layer.weight.detach() * 100).to(torch.int8), requires_grad=False)
    kind, options = VARIANTS[variant]
    model = get_peft_model(
        nn.Sequential(nn.Linear(8, 8), layer), kind(target_modules=["0", "1"], init_weights=False, **options)
    )
    x = torch.randn(3, 8)
    adapted, stored = model(x), layer.weight.clone()
    for attempt in (model.merge_adapter, model.merge_and_unload, model.base_model.model[1].merge):
        with pytest.raises(InputError, match=r"torch\.int8.*without quantisation"):
            attempt()
    assert torch.equal(model(x), adapted) and torch.equal(layer.weight, stored)
    assert model.base_model.model[1].get_delta_weight("default").abs().max() > 0


@pytest.mark.parametrize("variant", MERGEABLE)
def test_a_change_of_weights_becomes_plain_lora(variant: str, tmp_path: Path) -> None:
    model = adapt("llama", variant, init_weights=False)
    save_as_lora(tmp_path, model, rank=4)
    plain = PeftModel.from_pretrained(architectures.model("llama"), str(tmp_path))
    assert plain.peft_config["default"].peft_type == "LORA"
    assert torch.allclose(logits(plain), logits(model), atol=1e-5)


@pytest.mark.parametrize(("variant", "remedy"), [("sora", "convert_to_lora"), ("qaa", "set_adapter")])
def test_weighted_sums_of_adapters_are_refused_with_what_to_do(variant: str, remedy: str) -> None:
    with pytest.raises(NotImplementedError, match=f"none of that kind; .*{remedy}"):
        adapt("llama", variant).add_weighted_adapter(["default"], [1.0], "sum")


RATES: dict[str, tuple[AdapterConfig, dict[str, float]]] = {
    "qaa": (QAAConfig(), {"projection": 1e-3, "angles": 0.1}),
    "qaa, its bias": (QAAConfig(with_bias=True), {"projection": 1e-3, "angles": 0.1, "bias": 0.01}),
    "qtha": (QTHAConfig(), {"trains": 1e-3, "network": 0.01}),
    "quantum_peft": (QuantumPEFTConfig(), {"diagonal": 0.2, "angles": 0.1}),
    "sora": (SoRAConfig(), {"weights": 1e-3, "gates": 0.1}),
}


@pytest.mark.parametrize("case", RATES)
def test_every_trained_weight_is_in_the_group_of_its_part(case: str) -> None:
    config, rates = copy.deepcopy(RATES[case])
    config.modules_to_save = ["lm_head"]
    model = get_peft_model(architectures.model("llama"), config)
    groups = config.parameter_groups(model, rates, others=1e-4)
    assert {group["rate"]: group["lr"] for group in groups} == rates | {"others": 1e-4}
    names = {parameter: name for name, parameter in model.named_parameters() if parameter.requires_grad}
    grouped = {group["rate"]: [names.pop(parameter) for parameter in group["params"]] for group in groups}
    assert not names and all("lm_head.modules_to_save" in name for name in grouped.pop("others"))
    for part, members in grouped.items():
        assert {config.own_part(name) if part == "bias" else config.part(name) for name in members} == {part}
    assert [group["rate"] for group in groups if group["apart"]] == ["bias"] * ("bias" in rates)
    torch.optim.AdamW(groups)


@pytest.mark.parametrize(
    ("modules", "rates", "others", "words"),
    [
        (["lm_head"], {"projection": 0.1}, 0.1, "^rates: 'angles' has trained weights and no rate; give one"),
        (
            ["lm_head"],
            {"projection": 0.1, "angles": 0.1},
            None,
            "^rates: 'others' has trained .*; give one as others=, since they",
        ),
        (
            None,
            {"projection": 0.1, "angles": 0.1},
            0.1,
            "^rates: 'others' has no trained weights; angles, projection have",
        ),
        (
            None,
            {"projection": 0.1, "angels": 0.1},
            None,
            "^rates: 'angels' has no trained weights; .*Did you mean 'angles'",
        ),
        (
            None,
            {"projection": 0.1, "angles": 0.1, "bias": 0.1},
            None,
            "'bias' has no trained weights; angles, projection",
        ),
        (
            None,
            {"projection": 0.1, "angles": 0.0},
            None,
            "^rates.angles: 0.0 is out of range; allowed is a number above 0",
        ),
    ],
)
def test_rates_that_do_not_fit_are_refused(
    modules: list[str] | None, rates: dict[str, float], others: float | None, words: str
) -> None:
    config = QAAConfig(modules_to_save=modules)
    model = get_peft_model(architectures.model("llama"), config)
    with pytest.raises(InputError, match=words):
        config.parameter_groups(model, rates, others)


@pytest.mark.parametrize("placement, names", [("attention", {"o_proj"}), ("feedforward", {"down_proj"}),
                                               ("both", {"o_proj", "down_proj"})])  # fmt: skip
def test_placement(placement: str, names: set[str]) -> None:
    found = adapt("llama", "qaa", placement=placement).base_model.targeted_module_names
    assert {name.rpartition(".")[2] for name in found} == names


REFUSED = [
    (QAAConfig, {"layers": 0}, "qaa.layers: 0 .*at least 1"),
    (QAAConfig, {"layers": 1.5}, "qaa.layers: 1.5 .*whole number"),
    (QAAConfig, {"rotation": "RZ"}, "qaa.rotation: 'RZ' .*RX, RY"),
    (QAAConfig, {"entangler": "rings"}, "qaa.entangler: 'rings' .*ring, chain, none"),
    (QAAConfig, {"placement": "mlp"}, r"qaa.placement: 'mlp'.*attention, feedforward, both"),
    (QAAConfig, {"scale": 0}, "qaa.scale: 0"),
    (QAAConfig, {"scale": float("nan")}, "qaa.scale: nan"),
    (QAAConfig, {"angle_init": "zero"}, "qaa.angle_init: 'zero' never trains"),
    (QAAConfig, {"target_modules": "all-linear"}, "qaa.target_modules: 'all-linear'"),
    (QAAConfig, {"device": "lightning.qbit"}, r"qaa\.device: "),
    (SoRAConfig, {"r": 0}, "sora.r: 0 .*at least 1"),
    (SoRAConfig, {"r": True}, "sora.r: True"),
    (SoRAConfig, {"dropout": 1.0}, "sora.dropout: 1.0 .*below 1"),
    (SoRAConfig, {"sparsity": -1.0}, "sora.sparsity: -1.0 .*at least 0"),
    (SoRAConfig, {"sparsity_start": 0.5, "sparsity_end": 0.2}, "sora.sparsity_end: 0.2"),
    (SoRAConfig, {"target_ranks": 2.5}, "sora.target_ranks: 2.5"),
    (QuantumPEFTConfig, {"rank": 0}, "quantum_peft.rank: 0"),
    (QuantumPEFTConfig, {"parameterization": "cayley"}, "quantum_peft.parameterization: 'cayley'.*pauli, taylor"),
    (QTHAConfig, {"bond": 0}, "qtha.bond: 0"),
    (QTHAConfig, {"r": 32}, r"qtha.r: 32 qubits are 2\*\*32 .*allowed are 1 to 16.*'silu'"),
    (QTHAConfig, {"network": "tanh"}, "qtha.network: 'tanh'.*quantum, silu, none"),
    (FeatureMapConfig, {"rank": 0}, "feature_map.rank: 0"),
    (FeatureMapConfig, {"map": "quadratic"}, "feature_map.map: 'quadratic'.*random_quadratic"),
]


@pytest.mark.parametrize("kind, options, message", REFUSED)
def test_bad_values_are_refused_when_given(kind: type, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        kind(**options)


def test_bad_targets_are_refused_when_attached() -> None:
    narrow = nn.Sequential(nn.Linear(4, 1))
    with pytest.raises(InputError, match=r"width 1 .*at least 2"):
        get_peft_model(narrow, QAAConfig(target_modules=["0"]))
    with pytest.raises(InputError, match=r"quantum_peft.rank: 8 with a map of width 4"):
        get_peft_model(nn.Sequential(nn.Linear(16, 4)), QuantumPEFTConfig(rank=8, target_modules=["0"]))
    with pytest.raises(
        InputError, match=r"quantum_peft.rank: 4 with a map of width 4; 'random' .* less than the width"
    ):
        frame = QuantumPEFTConfig(rank=4, parameterization="random", target_modules=["0"])
        get_peft_model(nn.Sequential(nn.Linear(16, 4)), frame)
    with pytest.raises(InputError, match="Embedding; allowed are"):
        get_peft_model(architectures.model("llama"), SoRAConfig(target_modules=["embed_tokens"]))
    with pytest.raises(ValueError, match="not_there"):
        get_peft_model(architectures.model("llama"), SoRAConfig(target_modules=["not_there"]))
    unknown = MambaForCausalLM(MambaConfig(vocab_size=8, hidden_size=8, num_hidden_layers=1, state_size=2))
    with pytest.raises(InputError, match=r"'mamba' is not known; known are bloom, .* `target_modules`.*of a block"):
        get_peft_model(unknown, QAAConfig())


def test_registration_is_idempotent_and_complete() -> None:
    before = list(PeftType)
    registration.register("qaa", QAAConfig, QAAModel)
    assert list(PeftType) == before
    member = PeftType("QAA")
    assert member is PeftType.QAA and member.name == member.value == "QAA"
    assert pickle.loads(pickle.dumps(member)) is member and copy.deepcopy(member) is member
    assert PEFT_TYPE_TO_CONFIG_MAPPING["QAA"] is PEFT_TYPE_TO_CONFIG_MAPPING[member] is QAAConfig


def test_registration_refuses_to_shadow_and_checks_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    class OtherModel(Tuner):
        prefix = "lora_"

    with pytest.raises(InputError, match="already has a method LORA"):
        registration.register("lora", SoRAConfig, OtherModel)
    monkeypatch.setattr(registration.peft, "__version__", "0.20.0")
    with pytest.raises(InputError, match=r"peft 0\.20\.0 is installed; ketune needs peft >=0\.21,<0\.22"):
        registration.register("qaa", QAAConfig, QAAModel)


class OtherConfig(AdapterConfig):
    kind = "other"


@pytest.mark.parametrize(
    ("kind", "prefix", "layer", "words"),
    [
        (
            "another",
            "another_",
            WeightLayer,
            "OtherConfig.kind: 'other' was given .*'another', .* it must be 'another'",
        ),
        ("other", "oth_", WeightLayer, "Other.prefix: 'oth_' was given to register.* it must be 'other_'"),
        (
            "other",
            "other_",
            None,
            "Other.tuner_layer_cls: None holds no adapter; name OutputLayer, InputLayer or Weigh",
        ),
        ("other", "other_", BaseTunerLayer, "Other.tuner_layer_cls: .*BaseTunerLayer.* holds no adapter; name Output"),
        ("other", "other_", AdapterLayer, "Other.tuner_layer_cls: .*AdapterLayer.* holds no adapter; name OutputLayer"),
    ],
)
def test_a_kind_that_peft_could_not_use_is_refused_when_registered(
    kind: str, prefix: str, layer: type | None, words: str
) -> None:
    before = list(PeftType)
    tuner = type("Other", (Tuner,), {"prefix": prefix} | ({"tuner_layer_cls": layer} if layer else {}))
    with pytest.raises(InputError, match=words):
        registration.register(kind, OtherConfig, tuner)
    assert list(PeftType) == before


@pytest.mark.parametrize(
    ("variant", "name"), [("sora", "A"), ("qaa", "angles"), ("pauli", "left"), ("qtha", "network"), ("qtha", "0")]
)
def test_an_adapter_is_not_called_like_one_of_its_tensors(variant: str, name: str) -> None:
    with pytest.raises(InputError, match=f"adapter_name: '{name}' is the name of one of the adapter's tensors"):
        get_peft_model(architectures.model("llama"), make(variant), adapter_name=name)


UNFIT = [
    ("pauli", {"rank": 20}), ("qaa", {"target_modules": ["o_proj", "norm"]}),
    ("sora", {"target_modules": ["q_proj", "norm"]}),
]  # fmt: skip


@pytest.mark.parametrize(("variant", "wrong"), UNFIT)
def test_an_adapter_that_is_refused_leaves_the_model_as_it_was(variant: str, wrong: dict[str, Any]) -> None:
    base = architectures.model("llama")
    names = [name for name, _ in base.named_modules()]
    with pytest.raises(InputError):
        get_peft_model(base, make(variant, **wrong))
    assert [name for name, _ in base.named_modules()] == names
    fresh, again = (get_peft_model(model, make(variant)) for model in (architectures.model("llama"), base))
    assert again.get_nb_trainable_parameters() == fresh.get_nb_trainable_parameters()


@pytest.mark.parametrize(("variant", "wrong"), UNFIT)
def test_a_second_adapter_that_is_refused_leaves_the_first(variant: str, wrong: dict[str, Any]) -> None:
    model = adapt("llama", variant)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    with pytest.raises(InputError):
        model.add_adapter("second", make(variant, **wrong))
    after = model.state_dict()
    assert after.keys() == before.keys() and all(torch.equal(after[name], w) for name, w in before.items())
    assert model.active_adapters == ["default"]


@every_variant
def test_an_adapter_of_the_same_configuration_takes_the_fixed_buffers(variant: str) -> None:
    """As TRL makes the reference of a trained adapter: the configuration itself, and a copy of the parameters."""
    model = adapt("llama", variant, init_weights=False)
    for name, buffer in model.named_buffers():
        if name.endswith(".mean"):
            buffer.normal_()
    model.add_adapter("ref", model.peft_config["default"])
    for name, weight in model.named_parameters():
        if ".default." in name:
            model.get_parameter(name.replace(".default.", ".ref.")).data.copy_(weight.data)
    own = model.eval()(input_ids=ids()).logits
    model.set_adapter("ref")
    assert torch.equal(model(input_ids=ids()).logits, own)


def test_blocks_are_not_chosen_beside_a_regular_expression() -> None:
    with pytest.raises(InputError, match="cannot be used when `target_modules` is a str"):
        QAAConfig(target_modules=r".*o_proj", layers_to_transform=[0])


def test_one_module_to_save_is_given_as_a_list() -> None:
    with pytest.raises(
        InputError, match=r"qaa.modules_to_save: 'lm_head' is a text; give a list of names, \['lm_head'\]"
    ):
        QAAConfig(modules_to_save="lm_head")  # type: ignore[arg-type]  # peft would train whatever ends with one letter
