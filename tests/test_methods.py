"""Every method against its contract: the closed form counts what is trained, a seed decides all that is drawn."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import architectures
from architectures import FIVE, ids
from ketune import counts, methods
from ketune.ground.errors import InputError

PARAMS = yaml.safe_load((Path(__file__).parents[1] / "params.yaml").read_text())
NAMES = methods.names()
every_method = pytest.mark.parametrize("name", NAMES)


def load(name: str, **changes: Any) -> methods.Method:
    """The method with the project's own values; without a tokenizer, a prefix starts at random."""
    section = PARAMS[name] | ({"initialisation": "random"} if name == "prefix" else {})
    return methods.load(name, section | changes)


def attach(name: str, architecture: str, seed: int = 0, **changes: Any) -> torch.nn.Module:
    model = architectures.model(architecture)
    torch.manual_seed(seed)
    return load(name, **changes).attach(model)


@pytest.mark.parametrize("architecture", FIVE)
@every_method
def test_closed_form_counts_what_is_trained(name: str, architecture: str) -> None:
    sizes = counts.backbone(architectures.model(architecture))
    assert counts.trainable(attach(name, architecture)) == load(name).expected_parameters(sizes)


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
        ("lora_matched", {"placement": "both"}),
    ],
)
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_closed_form_with_other_values(name: str, changes: dict[str, Any], architecture: str) -> None:
    sizes = counts.backbone(architectures.model(architecture))
    trained = counts.trainable(attach(name, architecture, **changes))
    assert trained == load(name, **changes).expected_parameters(sizes)


PAPER = {
    "Full": 125_198_592,
    "LoRA, r = 4 on query and value": 147_456,
    "SoRA, r = 4, before pruning": 147_456 + 96,
    "Prefix, 30 virtual tokens": 552_960,
    "QAA, padded to 1,024": 123_000,
    "QAA, exact": 92_280,
    "Quantum-PEFT, K = 4, L = 1": 1_440,
    "QTHA, r = 4, bond 8": 24 * 7_984,
    "QAA, frozen angles": 92_160,
    "QAA, angles 0": 92_160,
    "QAA, no CNOT": 92_280,
    "Bias only": 9_216,
    "Random linear map": 92_160,
    "Random quadratic map": 92_160,
    "LoRA, matched, rank 5": 92_160,
    "SiLU bottleneck, rank 5": 92_160,
}


def test_gpt_neo_125m_as_published() -> None:
    table = {
        label: (printed, ours, receiving) for label, printed, ours, receiving in counts.table(counts.gpt_neo_125m())
    }
    assert {label: table[label][1] for label in PAPER} == PAPER
    assert all(printed == ours for printed, ours, _ in table.values() if printed is not None)
    assert table["QAA, padded to 1,024"][2] == 92_280
    assert counts.pruned(counts.gpt_neo_125m(), 4, 82) == 125_952


def test_gpt_neo_125m_attached() -> None:
    config = counts.gpt_neo_125m()
    for label, name, section, _ in counts.ROWS:
        method = methods.load(name, section | {"learning_rate": 1.0})
        if name != "vera":  # peft draws VeRA's matrices on the CPU, which a model without weights cannot take
            assert counts.trainable(method.attach(counts.on_meta(config))) == method.expected_parameters(
                counts.backbone(config)
            ), label


def test_the_command_prints_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    counts.main()
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["QAA,", "padded", "to", "1,024", "123,000", "123,000", "92,280"] in lines
    assert ["SoRA,", "82", "of", "96", "ranks", "125,337", "125,952", "125,952"] in lines


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


@every_method
def test_groups_hold_every_trained_tensor_once(name: str) -> None:
    model = attach(name, "llama")
    groups = load(name).parameter_groups(model)
    grouped = [id(p) for group in groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters() if p.requires_grad)


def test_angles_have_a_learning_rate_factor() -> None:
    _, angles = load("qaa", angle_factor=5.0).parameter_groups(attach("qaa", "llama"))
    assert angles["learning_rate_factor"] == 5.0 and [p.shape for p in angles["params"]] == [(1, 5), (1, 5)]
    assert len(load("qaa_frozen").parameter_groups(attach("qaa_frozen", "llama"))) == 1


@every_method
def test_a_few_steps_lower_the_loss_on_a_frozen_bf16_backbone(name: str) -> None:
    torch.manual_seed(0)
    model = load(name).attach(architectures.model("llama").to(torch.bfloat16)).train()
    trained = [p for p in model.parameters() if p.requires_grad]
    assert all(p.dtype == torch.float32 for p in trained)
    if not trained:
        return
    optimizer, losses = torch.optim.AdamW(trained, lr=0.02), []
    for step in range(1, 16):
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(input_ids=ids(), labels=ids()).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        load(name).after_step(model, step, 15, 0.02)
        losses.append(loss.item())
    assert min(losses[-3:]) < losses[0] - 0.005, losses


@every_method
def test_card_is_json(name: str) -> None:
    card = load(name).card(attach(name, "llama"))
    assert yaml.safe_load(yaml.safe_dump(card)) == card


@every_method
def test_titles_and_families(name: str) -> None:
    kind = methods.kind(name)
    assert kind.title and kind.source and kind.family in ("reference", "classical", "quantum", "control")
    assert len({methods.kind(other).title for other in NAMES}) == len(NAMES)


@pytest.mark.parametrize(
    "name, changes, message",
    [
        ("lora", {"r": 0}, r"lora.r: 0 is out of range; allowed is a number at least 1"),
        ("lora", {"rank": 4}, r"lora.rank: unknown key; lora has r, alpha"),
        ("qaa", {"layers": "2"}, r"qaa.layers: '2'"),
        ("qaa", {"rotation": "RX", "angle_init": "zero"}, r"angle_init: 'zero' with RX never trains"),
        ("qaa_frozen", {"angle_init": "zero"}, r"qaa_frozen.angle_init: 'zero'"),
        ("prefix", {"virtual_tokens": 0}, r"prefix.virtual_tokens: 0"),
        ("sora", {"sparsity_end": 0.1}, r"sora.sparsity_end: 0.1"),
        ("full", {"learning_rate": 0}, r"full.learning_rate: 0"),
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
