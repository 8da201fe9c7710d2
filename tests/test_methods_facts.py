"""What each method is, mathematically: facts that its implementation must reproduce."""

import math
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

import architectures
import ketune
from architectures import ids
from conftest import byte_tokenizer
from ketune import methods
from ketune.circuits import Noise, two_design_columns
from ketune.ground.errors import InputError
from ketune.methods import load
from ketune.tuners import tensor_train
from ketune.tuners.feature_map import LinearFeatures, QuadraticFeatures
from ketune.tuners.orthonormal import PauliColumns, RandomColumns, TaylorColumns
from ketune.tuners.proximal import soft_threshold
from ketune.tuners.qaa import CircuitFeatures, QAAConfig, as_hardware
from ketune.tuners.qtha import HybridAdapter, QTHAConfig
from ketune.tuners.quantum_peft import OrthogonalFactors, QuantumPEFTConfig
from ketune.tuners.residual import ResidualAdapter
from ketune.tuners.sora import SoRAConfig


def sora(**values: object) -> PeftModel:
    torch.manual_seed(1)
    config = SoRAConfig(task_type="CAUSAL_LM", init_weights=False, **values)  # type: ignore[arg-type]
    return get_peft_model(architectures.model("gpt_neo"), config)


def gates(model: PeftModel) -> torch.Tensor:
    return torch.cat([adapter.gate.detach() for adapter in model.base_model.gated().values()])


def test_soft_threshold_is_the_textbook_one() -> None:
    values = torch.tensor([-3.0, -1.5, -1.0, -0.2, 0.0, 0.2, 1.0, 1.5, 3.0])
    assert torch.equal(soft_threshold(values, 1.0), torch.tensor([-2.0, -0.5, 0, 0, 0, 0, 0, 0.5, 2.0]))


def test_proximal_step_shrinks_by_the_scheduled_threshold() -> None:
    model = sora(r=4, sparsity=0.1, sparsity_start=0.2, sparsity_end=0.6)
    before = gates(model)
    for step, part in ((2, 0.0), (4, 0.5), (6, 1.0), (10, 1.0)):
        model.base_model.proximal_step(step, 10, learning_rate=7.0)
        expected = soft_threshold(before, 0.1 * part)
        assert torch.allclose(gates(model), expected, atol=1e-7)
        before = gates(model)
    scaled = sora(r=4, sparsity=0.1, sparsity_unit="learning_rate")
    start = gates(scaled)
    scaled.base_model.proximal_step(1, 10, learning_rate=0.5)
    assert torch.allclose(gates(scaled), soft_threshold(start, 0.05))


@pytest.mark.parametrize("steps", [10, 40])
def test_in_unit_run_the_proximal_step_prunes_by_the_same_amount_in_any_number_of_steps(steps: int) -> None:
    model = sora(r=12, sparsity=0.4, sparsity_unit="run", sparsity_start=0.3, sparsity_end=0.8)
    start, config = gates(model), model.peft_config["default"]
    for step in range(1, steps + 1):
        model.base_model.proximal_step(step, steps, learning_rate=7.0)
    assert torch.allclose(gates(model), soft_threshold(start, 0.4), atol=1e-5)
    card = config.card(model)
    assert card["gates_zeroed_by_the_proximal_step"] == int((start.abs() < 0.4).sum()) > 5
    assert card["gates_zeroed_by_the_target"] == 0


def test_the_card_says_that_the_target_prunes_where_the_threshold_is_small(tmp_path: Path) -> None:
    model = sora(r=12, sparsity=3e-4, target_ranks=0.85, sparsity_start=0.3, sparsity_end=0.8)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.01)
    for step in range(1, 11):
        model(input_ids=ids(), labels=ids()).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        model.base_model.proximal_step(step, 10, 0.01)
    card = model.peft_config["default"].card(model)
    assert card["ranks_left"] == 41 and card["gates_zeroed_by_the_target"] >= 6
    assert card["gates_zeroed_by_the_target"] + card["gates_zeroed_by_the_proximal_step"] == 7
    model.save_pretrained(tmp_path)
    again = PeftModel.from_pretrained(architectures.model("gpt_neo"), str(tmp_path))
    assert again.peft_config["default"].card(again) == card | {"proximal_steps": 0}


def test_the_callback_takes_the_proximal_step_in_any_trainer(tmp_path: Path) -> None:
    model = sora(r=4, sparsity=0.05, sparsity_unit="learning_rate")
    rows = [{"input_ids": row, "labels": row} for row in ids()]
    trainer = Trainer(
        model=model, train_dataset=rows, callbacks=[ketune.ProximalStep()],
        args=TrainingArguments(output_dir=str(tmp_path), max_steps=3, learning_rate=2.0, report_to="none", use_cpu=True,
                               lr_scheduler_type="constant", disable_tqdm=True, save_strategy="no"),
    )  # fmt: skip
    taken: list[tuple] = []
    model.base_model.proximal_step = lambda *given: taken.append(given)
    trainer.train()
    assert taken == [(step, 3, 2.0, "default") for step in (1, 2, 3)]


@pytest.mark.parametrize("target, left", [(0.85, 41), (0.5, 24), (7.0, 7), (1.0, 1), (100.0, 48)])
def test_target_ranks_are_reached_exactly_and_the_dead_stay_dead(target: float, left: int) -> None:
    model = sora(r=12, target_ranks=target, sparsity_start=0.2, sparsity_end=0.6)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.01)
    alive = []
    for step in range(1, 21):
        model(input_ids=ids(), labels=ids()).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        model.base_model.proximal_step(step, 20, 0.01)
        alive.append(int((gates(model) != 0).sum()))
    assert alive[-1] == left and alive[3] == 48
    assert alive == sorted(alive, reverse=True) and alive[11:] == [left] * 9


def test_the_largest_gates_survive_and_only_the_soft_threshold_shrinks_them() -> None:
    model = sora(r=12, target_ranks=10.0, sparsity=0.2)
    before = gates(model)
    model.base_model.proximal_step(1, 10, 0.1)
    alive = before.abs().topk(10).indices
    assert torch.equal(gates(model)[alive], soft_threshold(before, 0.2)[alive])
    assert int((gates(model) != 0).sum()) == 10


def test_equal_gates_reach_the_target_too() -> None:
    """A threshold that zeroes one of several equal gates would zero them all."""
    model = sora(r=4, target_ranks=0.5, gate_init="ones", sparsity=5.0)
    model.base_model.proximal_step(1, 1, 0.1)
    assert sorted(gates(model).tolist()) == [0.0] * 8 + [0.5] * 8


def test_pruned_adapter_is_plain_lora_for_a_peft_without_ketune(tmp_path: Path) -> None:
    model = sora(r=6, target_ranks=0.5)
    model.base_model.proximal_step(1, 10, 0.1)
    with torch.no_grad():
        expected = model.eval()(input_ids=ids()).logits
    model.base_model.save_pruned(tmp_path / "pruned")
    loaded = PeftModel.from_pretrained(architectures.model("gpt_neo"), str(tmp_path / "pruned"))
    assert isinstance(loaded.peft_config["default"], LoraConfig)
    left = int((gates(model) != 0).sum())
    assert sum(p.numel() for n, p in loaded.named_parameters() if "lora_" in n) == left * 48  # 24 in, 24 out a rank
    with torch.no_grad():
        assert torch.allclose(loaded.eval()(input_ids=ids()).logits, expected, atol=1e-5)
    architectures.model("gpt_neo").save_pretrained(tmp_path / "base")
    script = (
        "import sys, peft, transformers\n"
        "m = transformers.AutoModelForCausalLM.from_pretrained('base')\npeft.PeftModel.from_pretrained(m, 'pruned')\n"
        "assert not any(name.startswith('ketune') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, timeout=120)


def test_pruning_everything_is_refused() -> None:
    model = sora(r=2, sparsity=100.0)
    model.base_model.proximal_step(1, 1, 0.1)
    with pytest.raises(InputError, match="every gate is 0"):
        model.base_model.prune()


def test_sora_card_counts_the_ranks() -> None:
    method = load("sora", {"r": 4, "alpha": 8.0, "dropout": 0.0, "gate_init": "ones", "sparsity": 0.0,
                           "sparsity_unit": "step", "sparsity_start": 0.0, "sparsity_end": 0.0, "target_ranks": 0.5,
                           "learning_rates": {"weights": 0.1, "gates": 0.1}})  # fmt: skip
    model = method.attach(architectures.model("gpt_neo"))
    method.after_step(model, 1, 2, {"gates": 0.1})
    card = method.card(model)
    assert (card["gates"], card["ranks_left"], card["parameters_after_pruning"]) == (16, 8, 8 * 48)
    assert card["proximal_steps"] == 1


def test_saving_without_a_proximal_step_warns(tmp_path: Path) -> None:
    model = sora(r=2)
    with pytest.warns(UserWarning, match="no proximal step was taken"):
        model.save_pretrained(tmp_path)
    model.base_model.proximal_step(1, 10, 0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.save_pretrained(tmp_path)


def orthonormal(columns: torch.Tensor, tolerance: float) -> bool:
    one = torch.eye(columns.shape[1], dtype=columns.dtype)
    return torch.allclose(columns.T @ columns, one, atol=tolerance)


@pytest.mark.parametrize("width", [8, 24, 576, 768])
@pytest.mark.parametrize("parameterization", ["pauli", "taylor", "random"])
@pytest.mark.parametrize("layers", [1, 3])
def test_columns_are_orthonormal_at_every_width_and_size_of_step(
    width: int, parameterization: str, layers: int
) -> None:
    """At steps of such a size a series cut after 18 terms would leave the orthogonal group."""
    torch.manual_seed(0)
    columns = QuantumPEFTConfig(parameterization=parameterization, layers=layers).columns(width)  # type: ignore[arg-type]
    for size in (0.0, 0.4, 1.0, 30.0):
        with torch.no_grad():
            columns.angles.add_(size * columns.angles.sign().where(columns.angles != 0, torch.tensor(1.0)))
        assert columns().shape == (width, 4) and orthonormal(columns(), 1e-5), size


def test_rows_of_the_circuit_span_what_the_columns_span() -> None:
    """Cut to 576 of 1,024 rows, the first four columns are far from unit length; their span is kept."""
    torch.manual_seed(0)
    columns = PauliColumns(576, 4, 1)
    cut = two_design_columns(columns.angles, 10, 1, 4)[:576]
    assert cut.norm(dim=0).min() < 0.9
    assert torch.allclose(columns() @ (columns().T @ cut), cut, atol=1e-5)
    assert (columns()[:, 0] @ cut[:, 0]) > 0
    whole = PauliColumns(64, 4, 3)
    assert torch.equal(whole(), two_design_columns(whole.angles, 6, 3, 4))


@pytest.mark.parametrize("width, rank, intrinsic", [(9, 3, 3), (30, 4, 2), (7, 2, 5), (5, 5, 5)])
@pytest.mark.parametrize("size", [1.0, 25.0])
def test_taylor_columns_are_those_of_a_matrix_exponential(width: int, rank: int, intrinsic: int, size: float) -> None:
    torch.manual_seed(0)
    columns = TaylorColumns(width, rank, intrinsic).double()
    with torch.no_grad():
        columns.angles.mul_(size)
    assert columns.angles.numel() == width * intrinsic - intrinsic * (intrinsic + 1) // 2
    free = torch.zeros(width, width, dtype=torch.float64)
    free[tuple(columns.where)] = columns.angles.detach()
    exact = torch.matrix_exp(free - free.T)[:, :rank]
    assert torch.allclose(columns(), exact, atol=1e-9)
    assert torch.autograd.gradcheck(columns.columns, columns.angles)


def test_random_columns_turn_a_frame_along_directions_outside_of_it() -> None:
    torch.manual_seed(0)
    columns = RandomColumns(30, 3, 2).double()
    assert torch.equal(columns(), columns.frame) and not (columns.frame.T @ columns.directions).abs().max() > 1e-6
    with torch.no_grad():
        columns.angles[4] = 0.7  # the fifth direction, for the second column
    expected = columns.frame.clone()
    expected[:, 1] = math.cos(0.7) * columns.frame[:, 1] + math.sin(0.7) * columns.directions[:, 4]
    assert torch.allclose(columns(), expected, atol=1e-7)


@pytest.mark.parametrize("parameterization", ["pauli", "taylor", "random"])
def test_frozen_columns_are_saved_and_not_trained(parameterization: str) -> None:
    config = QuantumPEFTConfig(parameterization=parameterization, train_columns=False)  # type: ignore[arg-type]
    factors = config.adapter(20, 12)
    assert [name for name, _ in factors.named_parameters()] == ["diagonal"] and config.parameters(20, 12) == 4
    assert {"left.angles", "right.angles", "diagonal"} <= set(factors.state_dict())


def test_quantum_peft_is_a_change_of_rank_k() -> None:
    torch.manual_seed(0)
    config = QuantumPEFTConfig(rank=3, init_weights=False)
    factors = OrthogonalFactors(config.columns(20), config.columns(12), config).double()
    x = torch.randn(5, 12, dtype=torch.float64)
    assert torch.linalg.matrix_rank(factors.delta()) == 3
    assert torch.allclose(factors(x), x @ factors.delta().T)


@pytest.mark.parametrize("width, expected", [(768, (8, 6, 4, 4)), (3584, (8, 8, 8, 7)), (18944, (37, 8, 8, 8)),
                                              (256, (4, 4, 4, 4)), (512, (8, 4, 4, 4)), (7, (7, 1, 1, 1))])  # fmt: skip
def test_factors_of_the_released_code(width: int, expected: tuple[int, ...]) -> None:
    assert tensor_train.factors(width) == expected


def test_tensor_train_is_the_matrix_that_its_definition_gives() -> None:
    torch.manual_seed(0)
    train = tensor_train.TensorTrain(24, 36, 3).double()
    ins, outs = tensor_train.factors(24), tensor_train.factors(36)
    matrix = torch.einsum("aycp,bzyq,dxzr,ewxs->abdepqrsw", *(
        core for core in train.cores
    )).reshape(*outs, *ins).reshape(36, 24)  # fmt: skip
    vectors = torch.randn(5, 24, dtype=torch.float64)
    assert torch.allclose(train(vectors), vectors @ matrix.T)
    back = torch.randn(5, 36, dtype=torch.float64)
    assert torch.allclose(train.transposed(back), back @ matrix)
    assert sum(p.numel() for p in train.parameters()) == tensor_train.parameters(24, 36, 3)


QWEN_7B = [(3584, 3584), (3584, 512)]  # query and value maps of a 7-billion-parameter Qwen2.5
GPT_NEO = [(768, 768)] * 2
SMOLLM2 = [(576, 576), (576, 192)]


def against_lora(maps: list[tuple[int, int]], **settings: Any) -> float:
    """QTHA's number of parameters over LoRA's of the same rank, on those maps."""
    config = QTHAConfig(**settings)
    return sum(config.parameters(i, o) for i, o in maps) / sum(config.r * (i + o) for i, o in maps)


@pytest.mark.parametrize(
    ("maps", "settings", "ratio"),
    [
        (QWEN_7B, {"r": 10}, 1 - 0.761),  # "76 % fewer": at this width and this rank
        (QWEN_7B, {"r": 8}, 1 - 0.726),
        (QWEN_7B, {"r": 4}, 1 - 0.548),
        (GPT_NEO, {"r": 4, "inner": 256}, 1.299),  # the released width of 256 at 768 inputs: more than LoRA
        (SMOLLM2, {"r": 4, "inner": 256}, 1.967),
        (GPT_NEO, {"r": 4}, 0.862),
        (SMOLLM2, {"r": 4}, 0.835),
    ],
)
def test_the_published_saving_of_qtha_holds_at_large_widths(maps: list, settings: dict, ratio: float) -> None:
    assert against_lora(maps, **settings) == pytest.approx(ratio, abs=0.001)


@pytest.mark.parametrize(("inputs", "inner"), [(3584, 256), (4096, 256), (1024, 64), (768, 64), (576, 32), (24, 4)])
def test_the_inner_width_of_qtha_grows_with_the_model(inputs: int, inner: int) -> None:
    assert QTHAConfig().inner_width(inputs) == inner and QTHAConfig(inner=7).inner_width(inputs) == 7


@pytest.mark.parametrize(("init", "a"), [("released", 0), ("torch", math.sqrt(5))])
def test_maps_of_qtha_start_as_declared(init: str, a: float) -> None:
    torch.manual_seed(0)
    adapter = HybridAdapter(3584, 512, QTHAConfig(r=10, map_init=init))  # type: ignore[arg-type]
    for weight in (adapter.map_in, adapter.map_out, adapter.bypass, adapter.weighting):
        bound = math.sqrt(6 / ((1 + a**2) * weight.shape[1]))
        assert 0.8 * bound < weight.abs().max() <= bound
    assert not adapter.train_out.cores[-1].any() and adapter.network.angles.abs().max() > 2


def test_qtha_multiplied_out_is_qtha_step_by_step() -> None:
    torch.manual_seed(0)
    adapter = HybridAdapter(20, 28, QTHAConfig(r=3, bond=2, alpha=6.0, init_weights=False)).double()
    x = torch.randn(4, 20, dtype=torch.float64)
    z = adapter.train_in(x) @ adapter.map_in.T
    u = adapter.network(z) @ adapter.weighting.T + z @ adapter.bypass.T
    y = 2.0 * adapter.train_out(u @ adapter.map_out.T)
    assert torch.allclose(adapter(x), y)


def test_silu_sibling_has_as_many_parameters_at_r_4() -> None:
    quantum, silu = (QTHAConfig(r=4, network=network).parameters(64, 64) for network in ("quantum", "silu"))  # type: ignore[arg-type]
    assert quantum == silu


def features(width: int, **values: object) -> CircuitFeatures:
    torch.manual_seed(0)
    found = QAAConfig(**values).feature_map(width)  # type: ignore[arg-type]
    assert isinstance(found, CircuitFeatures)
    return found


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
    model = load(name, methods.defaults(name)).attach(architectures.model("llama"))
    adapters = {n: m for n, m in model.named_modules() if isinstance(m, ResidualAdapter)}
    assert all("self_attn.o_proj" in n for n in adapters) and len(adapters) == 2
    assert all(m.up.weight.shape[0] == 24 and not m.up.weight.any() for m in adapters.values())


def test_random_quadratic_is_normalised() -> None:
    torch.manual_seed(0)
    f, h = QuadraticFeatures(24, 5), torch.randn(4, 24)
    expected = (h @ f.a.T) * (h @ f.b.T) / h.square().sum(-1, keepdim=True)
    assert torch.allclose(f(h), expected, atol=1e-6) and torch.allclose(f(h), f(-3 * h), atol=1e-5)
    assert torch.equal(f(torch.zeros(1, 24)), torch.zeros(1, 5))


def test_prefix_from_text_reads_like_the_text_before(tiny_folder: Path) -> None:
    section = {
        "virtual_tokens": 12,
        "initialisation": "from_text",
        "text": "Be brief.",
        "learning_rates": {"weights": 0.01},
    }
    base = AutoModelForCausalLM.from_pretrained(tiny_folder)
    adapted = load("prefix", section).attach(AutoModelForCausalLM.from_pretrained(tiny_folder)).eval()
    text = (byte_tokenizer()("Be brief.")["input_ids"] * 2)[:12]
    assert len(text) == 12
    with torch.no_grad():
        whole = base(input_ids=torch.cat([torch.tensor([text]), ids()[:1]], 1)).logits[:, 12:]
        assert torch.allclose(adapted(input_ids=ids()[:1]).logits, whole, atol=1e-4)


def test_prefix_from_text_without_a_tokenizer_is_refused() -> None:
    section = {"virtual_tokens": 3, "initialisation": "from_text", "text": "x", "learning_rates": {"weights": 0.01}}
    with pytest.raises(InputError, match="needs the tokenizer"):
        load("prefix", section).attach(architectures.model("llama"))


def test_full_holds_float32_weights() -> None:
    model = load("full", {"learning_rates": {"weights": 1e-5}}).attach(architectures.model("llama").to(torch.bfloat16))
    assert {p.dtype for p in model.parameters()} == {torch.float32} and all(p.requires_grad for p in model.parameters())


def test_base_trains_nothing() -> None:
    assert not any(p.requires_grad for p in load("base", {}).attach(architectures.model("llama")).parameters())


def test_scale_of_the_lora_update() -> None:
    torch.manual_seed(0)
    model = get_peft_model(
        nn.Sequential(nn.Linear(6, 4)), SoRAConfig(r=2, alpha=6.0, init_weights=False, target_modules=["0"])
    )
    adapter = model.base_model.gated()["0"]
    expected = 3.0 * adapter.B @ torch.diag(adapter.gate) @ adapter.A
    assert torch.allclose(adapter.delta(), expected) and math.isclose(adapter.scale, 3.0)


def test_parameter_shift_gives_the_gradient_of_adjoint() -> None:
    gradients = []
    for gradient in ("adjoint", "parameter_shift"):
        torch.manual_seed(0)
        linear = torch.nn.Sequential(torch.nn.Linear(6, 6))
        model = get_peft_model(linear, QAAConfig(target_modules=["0"], gradient=gradient, init_weights=False))
        model(torch.randn(5, 6)).square().sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.requires_grad]))
    assert gradients[0].abs().max() > 0
    assert torch.allclose(*gradients, rtol=1e-4, atol=1e-6)


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
