"""What SoRA is: gates, the step that zeroes them, and the plain LoRA that is left."""

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
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.functional import softshrink
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    PreTrainedModel,
    Trainer,
    TrainerState,
    TrainingArguments,
)

import architectures
import ketune
from architectures import ids
from ketune.ground.errors import InputError
from ketune.methods import load
from ketune.tuners.proximal import gathered
from ketune.tuners.sora import SoRAConfig


def sora(**values: Any) -> PeftModel:
    torch.manual_seed(1)
    config = SoRAConfig(task_type="CAUSAL_LM", init_weights=False, **values)
    return get_peft_model(architectures.model("gpt_neo"), config)


def gates(model: PeftModel) -> torch.Tensor:
    return torch.cat([adapter.gate.detach() for adapter in model.base_model.gated().values()])


def test_proximal_step_shrinks_by_the_scheduled_threshold() -> None:
    model = sora(r=4, sparsity=0.1, sparsity_start=0.2, sparsity_end=0.6)
    before = gates(model)
    for step, part in ((2, 0.0), (4, 0.5), (6, 1.0), (10, 1.0)):
        model.base_model.proximal_step(step, 10, learning_rate=7.0)
        expected = softshrink(before, 0.1 * part)
        assert torch.allclose(gates(model), expected, atol=1e-7)
        before = gates(model)
    scaled = sora(r=4, sparsity=0.1, sparsity_unit="learning_rate")
    start = gates(scaled)
    scaled.base_model.proximal_step(1, 10, learning_rate=0.5)
    assert torch.allclose(gates(scaled), softshrink(start, 0.05))


@pytest.mark.parametrize("steps", [10, 40])
def test_in_unit_run_the_proximal_step_prunes_by_the_same_amount_in_any_number_of_steps(steps: int) -> None:
    model = sora(r=12, sparsity=0.4, sparsity_unit="run", sparsity_start=0.3, sparsity_end=0.8)
    start, config = gates(model), model.peft_config["default"]
    for step in range(1, steps + 1):
        model.base_model.proximal_step(step, steps, learning_rate=7.0)
    assert torch.allclose(gates(model), softshrink(start, 0.4), atol=1e-5)
    card = config.card(model)
    assert card["gates_zeroed_by_the_proximal_step"] == int((start.abs() < 0.4).sum()) > 5
    assert card["gates_zeroed_by_the_target"] == 0


def test_a_schedule_that_begins_where_it_ends_is_a_step() -> None:
    late, middle = (SoRAConfig(sparsity_start=at, sparsity_end=at, target_ranks=0.5) for at in (1.0, 0.5))
    assert [late.ranks_kept(100, step, 10) for step in (9, 10)] == [100, 50]
    assert [middle.progress(step, 10) for step in (4, 5)] == [0.0, 1.0]
    assert SoRAConfig().progress(1, 10) == 1.0


@pytest.mark.parametrize(
    ("values", "steps", "warned"),
    [
        ({"target_ranks": 0.5}, 10, True),
        ({"target_ranks": 0.5, "sparsity_end": 0.1}, 10, True),
        ({"target_ranks": 0.5, "sparsity_end": 0.1}, 20, False),
        ({"target_ranks": 0.5, "sparsity_start": 0.3, "sparsity_end": 0.8}, 10, False),
        ({"target_ranks": 0.5, "sparsity_start": 0.3, "sparsity_end": 0.8}, 1, False),
        ({}, 10, False),
    ],
)
def test_a_target_that_is_reached_at_the_first_step_is_told_once(
    values: dict[str, float], steps: int, warned: bool
) -> None:
    model = sora(r=4, **values)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step in (1, 2) if steps > 1 else (1,):
            model.base_model.proximal_step(step, steps, learning_rate=0.1)
    told = [str(warning.message) for warning in caught]
    assert [text.startswith("sora.target_ranks: with sparsity_start 0 and") for text in told] == [True] * warned


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
    assert again.peft_config["default"].card(again) == card


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


def test_the_callback_names_the_adapters_that_are_there() -> None:
    model, state = sora(r=4), TrainerState(global_step=0, max_steps=2)
    for given, known in ((model, "default"), (architectures.model("gpt_neo"), "none")):
        with pytest.raises(InputError, match=f"'task' is no SoRA adapter of this model, .* are {known}; name one"):
            ketune.ProximalStep("task").on_optimizer_step(None, state, None, model=given, optimizer=None)


@pytest.mark.parametrize("count", [0, 2])
def test_the_callback_needs_one_rate_of_the_gates(count: int) -> None:
    model = sora(r=4)
    found = [parameter for name, parameter in model.named_parameters() if name.endswith(".gate")]
    groups = [{"params": found[i::2], "lr": 0.1 * (i + 1)} for i in range(count)]
    optimizer = torch.optim.SGD(groups or [{"params": [nn.Parameter(torch.ones(1))]}], lr=1.0)
    state = TrainerState(global_step=0, max_steps=2)
    with pytest.raises(InputError, match=f"^sora: the gates have {count} learning rates .*; give all gates one group"):
        ketune.ProximalStep().on_optimizer_step(None, state, None, model=model, optimizer=optimizer)


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
    assert torch.equal(gates(model)[alive], softshrink(before, 0.2)[alive])
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


@pytest.mark.parametrize(("task", "head"), [("CAUSAL_LM", "lm_head"), ("SEQ_CLS", "score")])
def test_what_was_trained_whole_is_pruned_along(task: str, head: str, tmp_path: Path) -> None:
    def base() -> PreTrainedModel:
        torch.manual_seed(0)
        kind = AutoModelForCausalLM if task == "CAUSAL_LM" else AutoModelForSequenceClassification
        return kind.from_config(architectures.CONFIGS["gpt_neo"])

    config = SoRAConfig(task_type=task, init_weights=False, modules_to_save=[head, "ln_f"], target_ranks=0.5)
    model = get_peft_model(base(), config).eval()
    model.base_model.proximal_step(1, 10, 0.1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "modules_to_save.default" in name:
                weight.normal_()
        expected = model(input_ids=ids()).logits
    model.base_model.save_pruned(tmp_path)
    for loaded in (PeftModel.from_pretrained(base(), str(tmp_path)), ketune.load(tmp_path, base())):
        with torch.no_grad():
            assert torch.allclose(loaded.eval()(input_ids=ids()).logits, expected, atol=1e-4)


def test_of_two_adapters_each_is_pruned_with_its_own_modules(tmp_path: Path) -> None:
    model = sora(r=2, modules_to_save=["ln_f"])
    model.add_adapter("second", SoRAConfig(task_type="CAUSAL_LM", init_weights=False, modules_to_save=["lm_head"]))
    for name, module in (("default", "ln_f"), ("second", "lm_head")):
        config, weights = model.base_model.prune(name)
        kept = {key for key in weights if ".lora_" not in key}
        assert config.modules_to_save == [module] and kept and all(f".{module}." in key for key in kept)


def test_gates_on_several_devices_are_pruned_together() -> None:
    with FakeTensorMode():  # a device that this machine need not have
        together = gathered([torch.ones(2), torch.ones(3, device="cuda")])
        assert together.shape == (5,) and together.device.type == "cpu"


def test_pruning_everything_is_refused() -> None:
    model = sora(r=2, sparsity=100.0)
    model.base_model.proximal_step(1, 1, 0.1)
    with pytest.raises(InputError, match="every gate is 0"):
        model.base_model.prune()


def test_sora_card_counts_the_ranks() -> None:
    method = load("sora", {"r": 4, "alpha": 8.0, "dropout": 0.0, "gate_init": "ones", "sparsity": 0.0,
                           "sparsity_unit": "step", "sparsity_start": 0.0, "sparsity_end": 0.0, "target_ranks": 0.5,
                           "learning_rates": {"weights": 0.1, "gates": 0.1}})  # fmt: skip
    model = method.adapter.attach(architectures.model("gpt_neo"))
    model.base_model.proximal_step(1, 2, 0.1)
    card = method.adapter.card(model)
    assert (card["gates"], card["ranks_left"], card["parameters_after_pruning"]) == (16, 8, 8 * 48)


def test_saving_without_a_proximal_step_warns(tmp_path: Path) -> None:
    model = sora(r=2)
    with pytest.warns(UserWarning, match="no proximal step was taken"):
        model.save_pretrained(tmp_path)
    model.base_model.proximal_step(1, 10, 0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.save_pretrained(tmp_path)


def test_a_proximal_step_on_a_part_of_the_gates_is_refused() -> None:
    model = sora(r=4)
    adapter = next(iter(model.base_model.gated().values()))
    adapter.gate.data = adapter.gate.data[:2]  # as FSDP leaves them in each process
    with pytest.raises(InputError, match="spread over processes"):
        model.base_model.proximal_step(1, 10, 0.1)


def test_a_pruned_adapter_that_was_loaded_to_train_on_is_saved_without_a_warning(tmp_path: Path) -> None:
    model = sora(r=4, target_ranks=0.5)
    model.base_model.proximal_step(1, 10, 0.1)
    model.save_pretrained(tmp_path)
    again = PeftModel.from_pretrained(architectures.model("gpt_neo"), str(tmp_path), is_trainable=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again.save_pretrained(tmp_path)


def test_scale_of_the_lora_update() -> None:
    torch.manual_seed(0)
    model = get_peft_model(
        nn.Sequential(nn.Linear(6, 4)), SoRAConfig(r=2, alpha=6.0, init_weights=False, target_modules=["0"])
    )
    adapter = model.base_model.gated()["0"]
    expected = 3.0 * adapter.B @ torch.diag(adapter.gate) @ adapter.A
    assert torch.allclose(adapter.delta(), expected) and math.isclose(adapter.scale, 3.0)
