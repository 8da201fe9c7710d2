"""The loop: what the loss counts, what is trained, what a killed run leaves, what a diverged run says."""

import dataclasses
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.data_loader import BatchSamplerShard
from peft import PeftModel
from torch import nn
from torch.utils.data import BatchSampler
from transformers import LlamaForCausalLM, TrainerCallback

from conftest import byte_tokenizer, environment, records, tiny_config, tiny_params
from ketune import adapters, generation, language_model, likelihood, methods, movement, tokens, weights
from ketune.ground import files
from ketune.ground.errors import InputError
from ketune.ground.params import Generate, LanguageModel, Train
from ketune.records.examples import Example
from ketune.records.training import Machine
from ketune.training import checkpoints, cost, loop, order, travel
from ketune.tuners import residual

TOKENIZER = byte_tokenizer()
EXAMPLES = [Example(id=f"{i:02d}", **record) for i, record in enumerate(records(24))]
ROWS = tokens.tokenize(TOKENIZER, EXAMPLES, 400)
LORA = {"r": 2, "alpha": 4.0, "dropout": 0.1, "learning_rates": {"weights": 0.02}}


def settings(folder: Path, **changes: Any) -> Train:
    return dataclasses.replace(Train(**tiny_params(folder, ["lora"], [0])["train"]), **changes)


def fresh(folder: Path, precision: str = "fp32") -> nn.Module:
    return language_model.load(folder, precision, "cpu")[0]


def run(
    folder: Path, scratch: Path, name: str = "lora", section: dict | None = None, seed: int = 0, **changes: Any
) -> tuple[nn.Module, Any]:
    chosen = settings(folder, **changes)
    method = methods.load(name, LORA if section is None else section)
    base = fresh(folder, chosen.precision)
    language_model.fix_randomness(0)
    model = method.adapter.attach(base)
    return model, loop.train(method, model, ROWS, chosen, seed=seed, padding=256, folder=scratch)


def trained(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}


def test_loss_counts_response_tokens_only(tiny_folder: Path) -> None:
    model = fresh(tiny_folder)
    batch = language_model.batch(ROWS[:3], 256)
    losses = language_model.token_losses(model, batch)
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits.log_softmax(-1)
    expected = [
        -logits[i, t - 1, row.ids[t]] for i, row in enumerate(ROWS[:3]) for t in range(row.response, len(row.ids))
    ]
    assert torch.allclose(losses, torch.stack(expected), atol=1e-5)
    assert len(losses) == sum(len(EXAMPLES[i].output) + 1 for i in range(3))


def test_a_run_lowers_its_loss(tiny_folder: Path, tmp_path: Path) -> None:
    _, result = run(tiny_folder, tmp_path / "c", "full", {"learning_rates": {"weights": 0.01}}, steps=30)
    losses = [point.loss for point in result.curve]
    assert [point.step for point in result.curve] == list(range(1, 31))
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


def test_the_base_stays_untouched_and_every_adapter_weight_gets_a_gradient(tiny_folder: Path, tmp_path: Path) -> None:
    model, result = run(tiny_folder, tmp_path / "c")
    base = fresh(tiny_folder).state_dict()
    kept = {n.replace("base_model.model.", "").replace(".base_layer", ""): p for n, p in model.named_parameters()}
    shared = [name for name in base if name in kept]
    assert len(shared) == sum("lora_" not in name for name in kept)
    assert all(torch.equal(kept[name], base[name]) for name in shared)
    assert result.parameters.receiving == result.parameters.trainable == sum(p.numel() for p in trained(model).values())


def test_same_seed_same_bytes_and_another_seed_others(tiny_folder: Path, tmp_path: Path) -> None:
    first, curve = run(tiny_folder, tmp_path / "a")
    torch.rand(17)  # other code may draw numbers in between
    second, again = run(tiny_folder, tmp_path / "b")
    third, other = run(tiny_folder, tmp_path / "c", seed=1)  # from the same start: order and dropout are others
    assert curve.curve == again.curve != other.curve
    assert all(torch.equal(a, b) for a, b in zip(trained(first).values(), trained(second).values(), strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(trained(first).values(), trained(third).values(), strict=True))


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_the_rate_rises_in_the_warm_up_and_then_follows_the_schedule(
    tiny_folder: Path, tmp_path: Path, schedule: str
) -> None:
    _, result = run(tiny_folder, tmp_path / "c", schedule=schedule, steps=6, warmup_steps=2)
    gone = [0, 0.25, 0.5, 0.75]  # of the steps after the warm-up
    after = {
        "cosine": [(1 + math.cos(math.pi * part)) / 2 for part in gone],
        "linear": [1 - part for part in gone],
        "constant": [1.0] * 4,
    }
    shares = [point.learning_rate / LORA["learning_rates"]["weights"] for point in result.curve]
    assert shares == pytest.approx([0, 0.5, *after[schedule]])


def test_weights_decay_and_gradients_are_clipped_as_set(tiny_folder: Path, tmp_path: Path) -> None:
    def size(name: str, **changes: Any) -> tuple[float, float]:
        """Norm of the trained weights, and how far they moved relative to their start."""
        model, result = run(tiny_folder, tmp_path / name, **changes)
        return math.hypot(*(float(w.norm()) for w in trained(model).values())), result.moved[0].distance

    norm, moved = size("plain")
    assert size("decayed", weight_decay=25.0)[0] < 0.6 * norm
    assert size("clipped", gradient_clip=1e-12)[1] < 0.01 * moved  # far below the epsilon of AdamW


def test_a_vector_with_a_rate_of_its_own_learns_beside_features_as_it_does_alone(
    tiny_folder: Path, tmp_path: Path
) -> None:
    clip, still = 0.01, 1e-12  # far below every gradient's norm; a rate at which the features add nothing

    def vectors(name: str, rates: dict[str, float]) -> list[torch.Tensor]:
        section = methods.defaults(name) | {"learning_rates": rates}
        section |= {"with_bias": True} if "with_bias" in section else {}
        model, _ = run(tiny_folder, tmp_path / name, name, section, gradient_clip=clip)
        own = trained(model)
        return [own[key] for key in own if key.endswith(".bias")] or list(own.values())

    alone = vectors("bias_only", {"weights": 0.1})
    beside = vectors("qaa_frozen", {"projection": still, "bias": 0.1})
    assert len(alone) == len(beside) > 0
    for one, other in zip(alone, beside, strict=True):
        assert one.norm() > 0.01
        assert torch.allclose(one.flatten(), other.flatten(), rtol=1e-3, atol=1e-5)


class StopAt(TrainerCallback):
    """Ends the process's work at a step, as a kill would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == self.step:
            raise KeyboardInterrupt


@pytest.mark.parametrize("damage", [None, "optimizer.pt", "rng_state.pth", "adapter_model.safetensors", "seal.json"])
def test_a_stopped_run_ends_with_the_same_bytes(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str | None
) -> None:
    undisturbed, expected = run(tiny_folder, tmp_path / "a", steps=8)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "_Progress", lambda: StopAt(7))
        with pytest.raises(KeyboardInterrupt):
            run(tiny_folder, tmp_path / "b", steps=8)
    last = tmp_path / "b" / "checkpoint-6"
    if damage:  # a torn checkpoint: the one before it must serve
        (last / damage).write_bytes((last / damage).read_bytes()[:50])
    model, result = run(tiny_folder, tmp_path / "b", steps=8)
    assert result.resumed_from == (4 if damage else 6)
    assert result.curve == expected.curve
    assert all(torch.equal(a, b) for a, b in zip(trained(undisturbed).values(), trained(model).values(), strict=True))


def test_how_often_checkpoints_are_saved_decides_nothing(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, expected = run(tiny_folder, tmp_path / "a", steps=8, checkpoint_every=8)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "_Progress", lambda: StopAt(7))
        with pytest.raises(KeyboardInterrupt):
            run(tiny_folder, tmp_path / "b", steps=8, checkpoint_every=3)
    _, result = run(tiny_folder, tmp_path / "b", steps=8, checkpoint_every=5)
    assert result.resumed_from == 6 and result.curve == expected.curve


@pytest.mark.parametrize("steps", [5, 12])  # twelve steps are all records once
def test_a_run_that_ended_and_was_not_saved_ends_with_the_same_bytes(
    tiny_folder: Path, tmp_path: Path, steps: int
) -> None:
    ended, expected = run(tiny_folder, tmp_path / "c", steps=steps)
    torch.rand(3)
    model, result = run(tiny_folder, tmp_path / "c", steps=steps)
    assert (expected.resumed_from, result.resumed_from) == (0, steps)
    assert (result.curve, result.moved, result.parameters) == (expected.curve, expected.moved, expected.parameters)
    assert all(torch.equal(a, b) for a, b in zip(trained(ended).values(), trained(model).values(), strict=True))
    assert expected.cost.tokens_per_second > 0 and result.cost.tokens_per_second is None


def test_only_the_main_process_deletes_a_torn_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torn = tmp_path / "checkpoint-9"
    torn.mkdir()
    monkeypatch.setenv("RANK", "1")
    checkpoints.last_whole(tmp_path)
    assert torn.exists()
    monkeypatch.setenv("RANK", "0")
    assert checkpoints.last_whole(tmp_path) is None and not torn.exists()


def test_a_checkpoint_without_a_file_is_not_trusted(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint-3"
    folder.mkdir()
    (folder / "optimizer.pt").write_text("x")
    assert checkpoints.last_whole(tmp_path) is None and not folder.exists()


@pytest.mark.parametrize(("rate", "what"), [(1e38, "loss"), (1e30, "norm of the gradients")])
def test_a_diverged_run_names_step_and_records(tiny_folder: Path, tmp_path: Path, rate: float, what: str) -> None:
    section = LORA | {"learning_rates": {"weights": rate}}
    with pytest.raises(loop.Diverged, match=rf"the {what} of step \d+ is nan, on records \d\d, \d\d; lower"):
        run(tiny_folder, tmp_path / "c", section=section, steps=10)


def test_a_last_step_whose_gradient_is_not_finite_is_a_diverged_run(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses, steps = language_model.token_losses, iter(range(1, 5))

    def steep(model: nn.Module, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """In the fourth step a loss of the same value whose derivative does not exist."""
        found = losses(model, inputs)
        if next(steps) < 4:
            return found
        weight = next(p for p in model.parameters() if p.requires_grad)
        return found + (weight - weight.detach()).norm().sqrt()

    monkeypatch.setattr(language_model, "token_losses", steep)
    with pytest.raises(loop.Diverged, match=r"the norm of the gradients of step 4 is nan, on records \d\d, \d\d;"):
        run(tiny_folder, tmp_path / "c")
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["checkpoint-2"]


@pytest.mark.parametrize("name", ["qaa", "qtha"])
def test_a_circuit_that_reads_nan_is_a_diverged_run(tiny_folder: Path, tmp_path: Path, name: str) -> None:
    section = methods.defaults(name)
    section |= {"learning_rates": dict.fromkeys(section["learning_rates"], 1e38)}
    with pytest.raises(loop.Diverged, match=r"loss of step \d+ is nan, on records \d\d, \d\d; lower"):
        run(tiny_folder, tmp_path / "c", name, section, steps=10)


@pytest.mark.parametrize(
    ("parameterization", "unit"), [("pauli", "radians"), ("random", "radians"), ("taylor", "relative")]
)
def test_the_angles_of_quantum_peft_are_judged_by_what_they_are(parameterization: str, unit: str) -> None:
    section = methods.defaults("quantum_peft") | {"parameterization": parameterization}
    section = {key: value for key, value in section.items() if key != "train_columns"}
    method = methods.load("quantum_peft", section)
    torch.manual_seed(0)
    columns = method.adapter.columns(576)
    start = travel.Start(
        [{"rate": "angles", "params": [columns.angles]}], angles_in_radians=method.adapter.angles_in_radians
    )
    before = columns().detach()
    with torch.no_grad():
        columns.angles.add_(0.5 * torch.randn_like(columns.angles) / 24)
    (moved,) = start.movements()
    assert moved.unit == unit
    if unit == "relative":  # 0.014 "radians" a weight, and yet half of every column has turned elsewhere
        assert not movement.stood_still(moved) and (columns() - before).norm(dim=0).min() > 0.3


def test_a_prefix_and_a_text_need_positions_together(tiny_folder: Path, tmp_path: Path) -> None:
    section = methods.defaults("prefix") | {"initialisation": "random"}
    with pytest.raises(InputError, match=r"^train.max_tokens: 320 tokens behind a prefix of 193 are more than the mod"):
        run(tiny_folder, tmp_path / "a", "prefix", section | {"virtual_tokens": 193})
    model, _ = run(tiny_folder, tmp_path / "b", "prefix", section | {"virtual_tokens": 192}, steps=2)
    chosen = Generate(**tiny_params(tiny_folder, ["base"], [0])["generate"])
    longest = max(ROWS[0].response, ROWS[1].response)
    room = dataclasses.replace(chosen, max_new_tokens=320 - longest)
    assert len(generation.answers(model.eval(), TOKENIZER, EXAMPLES[:2], room, 320)) == 2
    with pytest.raises(InputError, match=r"^generate.max_new_tokens: 321 tokens behind a prefix of 192 are more than"):
        more = dataclasses.replace(room, max_new_tokens=321 - longest)
        generation.answers(model.eval(), TOKENIZER, EXAMPLES[:2], more, 320)


def test_base_trains_nothing_and_full_everything(tiny_folder: Path, tmp_path: Path) -> None:
    _, nothing = run(tiny_folder, tmp_path / "a", "base", {})
    assert nothing.curve == [] and nothing.parameters.trainable == 0
    model, everything = run(tiny_folder, tmp_path / "b", "full", {"learning_rates": {"weights": 0.001}})
    assert everything.parameters.trainable == everything.parameters.total == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("name", "section"), [("base", {}), ("full", {"learning_rates": {"weights": 0.001}}), ("lora", LORA)]
)
def test_saved_weights_come_back(tiny_folder: Path, tmp_path: Path, name: str, section: dict) -> None:
    model, _ = run(tiny_folder, tmp_path / "c", name, section)
    adapters.save(model, tmp_path / "out", name, section)
    again = adapters.restore(tmp_path / "out", fresh(tiny_folder))
    written = json.loads((tmp_path / "out/method.json").read_text())
    assert written == {"method": name, "values": section}
    batch = language_model.batch(ROWS[:2], 256)
    with torch.no_grad():
        assert torch.equal(language_model.token_losses(model.eval(), batch), language_model.token_losses(again, batch))
    assert isinstance(again, PeftModel) == (name == "lora")


def test_a_model_that_brings_code_or_pickles_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    code, pickles = tmp_path / "code", tmp_path / "pickles"
    shutil.copytree(tiny_folder, code)
    config = json.loads((code / "config.json").read_text())
    for key in ("AutoConfig", "AutoModelForCausalLM"):
        config.setdefault("auto_map", {})[key] = f"planted.{key}"
    (code / "config.json").write_text(json.dumps(config | {"model_type": "planted"}))
    (code / "planted.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    shutil.copytree(tiny_folder, pickles, ignore=shutil.ignore_patterns("*.safetensors"))
    torch.save(fresh(tiny_folder).state_dict(), pickles / "pytorch_model.bin")
    for folder in (code, pickles):
        with pytest.raises(InputError, match="cannot be loaded"):
            weights.fetch(LanguageModel(name=str(folder), revision=None), tmp_path / "out")
    assert not (tmp_path / "ran").exists() and not (tmp_path / "out").exists()


def test_bf16_is_used_and_stays_near_fp32(tiny_folder: Path, tmp_path: Path) -> None:
    _, exact = run(tiny_folder, tmp_path / "a", steps=10)
    model, rough = run(tiny_folder, tmp_path / "b", steps=10, precision="bf16")
    assert [point.loss for point in exact.curve] != [point.loss for point in rough.curve]
    assert {p.dtype for p in model.parameters() if not p.requires_grad} == {torch.bfloat16}
    assert all(abs(a.loss - b.loss) < 0.05 for a, b in zip(exact.curve, rough.curve, strict=True))


def test_a_mean_is_taken_from_training_records_before_the_first_step(tiny_folder: Path, tmp_path: Path) -> None:
    section = tiny_params(tiny_folder, ["qaa"], [0])["qaa"] | {"centre": "data"}
    section["learning_rates"] = {"projection": 0.01, "angles": 0.01}
    model, _ = run(tiny_folder, tmp_path, "qaa", section, steps=1)
    found = residual.residual_adapters(model)
    assert found and all(adapter.mean is not None and adapter.mean.any() for adapter in found)


def test_accumulation_equals_the_larger_batch(tiny_folder: Path, tmp_path: Path) -> None:
    section = LORA | {"dropout": 0.0}
    _, whole = run(tiny_folder, tmp_path / "a", section=section, batch_size=4)
    _, parts = run(tiny_folder, tmp_path / "b", section=section, batch_size=2, accumulation=2)
    assert all(abs(a.loss - b.loss) < 1e-5 * a.loss for a, b in zip(whole.curve, parts.curve, strict=True))


DISTRIBUTED = """
import json, sys
sys.path.insert(0, {tests!r})
import test_training as t
from pathlib import Path
from ketune.training import distribution
section = t.LORA | {{"dropout": 0.0}}
_, result = t.run(Path({folder!r}), Path({scratch!r}), section=section, batch_size=4, processes=2, steps=6)
if distribution.is_main():
    tokens = result.cost.tokens_per_second * result.cost.wall_seconds
    Path({out!r}).write_text(json.dumps([[point.loss for point in result.curve], tokens]))
"""


def test_two_processes_equal_one_at_the_same_batch(tiny_folder: Path, tmp_path: Path) -> None:
    section = LORA | {"dropout": 0.0}
    _, alone = run(tiny_folder, tmp_path / "a", section=section, batch_size=4, steps=6)
    places = {"folder": tiny_folder, "scratch": tmp_path / "c", "out": tmp_path / "curve.json"}
    places |= {"tests": Path(__file__).parent}
    torn = tmp_path / "c/checkpoint-99"  # found by both
    torn.mkdir(parents=True)
    script = tmp_path / "distributed.py"
    script.write_text(DISTRIBUTED.format(**{key: str(value) for key, value in places.items()}))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    subprocess.run(command, check=True, timeout=300, env=environment(cold=True) | {"OMP_NUM_THREADS": "1"})
    together, read = json.loads((tmp_path / "curve.json").read_text())
    assert len(together) == 6 and not torn.exists()
    assert all(abs(a.loss - b) <= 1e-5 * a.loss for a, b in zip(alone.curve, together, strict=True))
    assert read == pytest.approx(alone.cost.tokens_per_second * alone.cost.wall_seconds)


def test_every_method_sees_the_same_order_whoever_shares_the_step() -> None:
    lengths = [len(row.ids) for row in ROWS]
    first, second = order.ByLength(lengths, 4, 7), order.ByLength(lengths, 4, 7)
    torch.rand(3)
    assert list(first) == list(second) != list(order.ByLength(lengths, 4, 8))
    second.set_epoch(1)
    assert sorted(second) == list(range(len(ROWS))) and list(first) != list(second)


@pytest.mark.parametrize(("records", "step"), [(7, 4), (9, 4), (8, 4), (3, 8)])
def test_several_processes_share_the_steps_of_one_to_the_end_of_an_epoch(records: int, step: int) -> None:
    sampler = order.ByLength([1 + 7 * i % 5 for i in range(records)], step, 0)
    alone = list(BatchSampler(sampler, step, drop_last=False))
    shared = [list(BatchSamplerShard(BatchSampler(sampler, step // 2, drop_last=False), 2, rank)) for rank in (0, 1)]
    assert alone == [one + other for one, other in zip(*shared, strict=True)]
    epoch = list(sampler)
    assert {len(batch) for batch in alone} == {step} and len(sampler) == len(epoch) < records + step
    assert sorted(epoch[:records]) == [*range(records)] and set(epoch[records:]) <= set(epoch[:step])


def test_records_of_like_length_make_a_batch() -> None:
    lengths = [10 + 37 * i % 101 for i in range(400)]

    def padding(found: list[int]) -> int:
        batches = [[lengths[i] for i in found[at : at + 4]] for at in range(0, len(found), 4)]
        return sum(len(batch) * max(batch) - sum(batch) for batch in batches)

    at_random = torch.randperm(400, generator=torch.Generator().manual_seed(0)).tolist()
    assert padding(list(order.ByLength(lengths, 4, 0))) < padding(at_random) / 5


def test_answers_do_not_depend_on_the_batch(tiny_folder: Path) -> None:
    model = fresh(tiny_folder)
    raw = tiny_params(tiny_folder, ["base"], [0])["generate"]
    each, together = (Generate(**raw | {"batch_tokens": tokens}) for tokens in (1, 4096))
    alone = generation.answers(model, TOKENIZER, EXAMPLES[:5], each, 400)
    assert alone == generation.answers(model, TOKENIZER, EXAMPLES[:5], together, 400)
    assert [answer.id for answer in alone] == [example.id for example in EXAMPLES[:5]]


@pytest.mark.parametrize("longest", [400, 30])  # 30: every prompt is longer
def test_an_answer_is_the_reply_to_the_last_tokens_of_its_prompt_and_tells_whether_it_ended(longest: int) -> None:
    torch.manual_seed(3)
    model = LlamaForCausalLM(tiny_config(initializer_range=0.5, tie_word_embeddings=False)).eval()  # repeats nothing
    tokenizer, chosen = byte_tokenizer(), Generate(**tiny_params(Path(), ["base"], [0])["generate"])
    prompts = [torch.tensor([row.ids[: row.response][-longest:]]) for row in ROWS[:2]]
    first, second = (
        model.generate(ids, max_new_tokens=chosen.max_new_tokens, do_sample=False)[0, ids.shape[1] :].tolist()
        for ids in prompts
    )
    assert first[2] not in first[:2] + second
    tokenizer.add_special_tokens({"eos_token": tokenizer.convert_ids_to_tokens(first[2])})
    ended, cut = generation.answers(model, tokenizer, EXAMPLES[:2], chosen, longest)
    assert (ended.prediction, ended.new_tokens, ended.finished) == (tokenizer.decode(first[:2]).strip(), 3, True)
    assert (cut.prediction, cut.new_tokens, cut.finished) == (tokenizer.decode(second).strip(), 8, False)


DECODING = {"repetition_penalty": 5.0, "num_beams": 3, "min_new_tokens": 8, "suppress_tokens": list(range(97, 123))}


@pytest.mark.parametrize("file", ["generation_config.json", "config.json"])
def test_a_model_folder_does_not_decide_how_answers_are_decoded(tiny_folder: Path, tmp_path: Path, file: str) -> None:
    willed = shutil.copytree(tiny_folder, tmp_path / "model")
    (willed / file).write_text(json.dumps(json.loads((willed / file).read_text()) | DECODING))
    chosen = Generate(**tiny_params(tiny_folder, ["base"], [0])["generate"])
    plain, other = (generation.answers(fresh(f), TOKENIZER, EXAMPLES[:3], chosen, 400) for f in (tiny_folder, willed))
    assert plain == other


GONE = "is not available here"


@pytest.mark.parametrize(
    ("section", "name", "words"),
    [
        ("train", "nosuch", GONE),
        ("train", "meta", GONE),
        ("train", "cuda:1", "is not allowed; choose one of auto, cpu, cuda.* CUDA_VISIBLE_DEVICES=1"),
        ("generate", "nosuch", GONE),
        ("generate", "cuda:7", GONE),
        ("generate", "meta", GONE),
    ],
)
def test_a_device_that_is_not_to_be_had_is_named_with_its_key(
    tiny_folder: Path, section: str, name: str, words: str
) -> None:
    kinds = {"train": Train, "generate": Generate}
    chosen = kinds[section](**tiny_params(tiny_folder, ["base"], [0])[section] | {"device": name})
    with pytest.raises(InputError, match=rf"^{section}.device: '{name}' {words}"):
        language_model.device(chosen)


@pytest.mark.parametrize("wish", ["kernels-community/flash-attn2", "flex_attention", "eager"])
def test_a_model_folder_does_not_choose_the_attention(tiny_folder: Path, tmp_path: Path, wish: str) -> None:
    willed = shutil.copytree(tiny_folder, tmp_path / "model")
    config = json.loads((willed / "config.json").read_text())
    (willed / "config.json").write_text(json.dumps(config | {"attn_implementation": wish}))
    assert fresh(willed).config._attn_implementation == fresh(tiny_folder).config._attn_implementation == "sdpa"
    weights.fetch(LanguageModel(name=str(willed), revision=None), tmp_path / "fetched")
    assert wish not in (tmp_path / "fetched/config.json").read_text()


@pytest.mark.parametrize(
    ("device", "precision", "max_tokens", "attention"),
    [
        ("cpu", "bf16", 192, "eager"),
        ("cpu", "bf16", 193, "sdpa"),
        ("cpu", "fp32", 64, "sdpa"),
        ("cuda", "bf16", 64, "sdpa"),
    ],
)
def test_attention_in_training_is_the_form_that_was_measured_to_be_faster(
    tiny_folder: Path, device: str, precision: str, max_tokens: int, attention: str
) -> None:
    settings = Train(
        **tiny_params(tiny_folder, ["base"], [0])["train"] | {"precision": precision, "max_tokens": max_tokens}
    )
    chosen = language_model.attention_in_training(settings, device)
    assert chosen == attention
    model, _ = language_model.load(tiny_folder, precision, "cpu", attention=chosen)
    assert model.config._attn_implementation == attention


def test_both_forms_of_attention_give_the_same_loss(tiny_folder: Path) -> None:
    losses = []
    for attention in ("eager", "sdpa"):
        model, _ = language_model.load(tiny_folder, "fp32", "cpu", attention=attention)
        losses.append(language_model.token_losses(model, language_model.batch(ROWS[:3], 0)))
    assert torch.allclose(*losses, atol=1e-5)


def test_likelihoods_do_not_depend_on_the_batch(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = fresh(tiny_folder)
    together = likelihood.likelihoods(model, ROWS[:5], 256)
    monkeypatch.setattr(language_model, "READ_TOGETHER", 1)
    alone = likelihood.likelihoods(model, ROWS[:5], 256)
    for a, b in zip(alone, together, strict=True):
        assert (a.id, a.tokens) == (b.id, b.tokens)
        assert a.negative_log_likelihood == pytest.approx(b.negative_log_likelihood, rel=1e-5)


def test_a_machine_comes_back_from_its_file(tmp_path: Path) -> None:
    machine = cost.machine("cpu")
    files.write_json(tmp_path / "machine.json", machine)
    assert files.read_json(tmp_path / "machine.json", Machine) == machine
    assert machine.packages["torch"] == torch.__version__


def test_two_processes_at_the_same_work_take_turns(tmp_path: Path) -> None:
    program = """
import sys, time
from pathlib import Path
from ketune.training import checkpoints
folder = Path(sys.argv[1])
Path(f"{folder}-ready-{sys.argv[2]}").touch()
while len(list(folder.parent.glob("*-ready-*"))) < 3:
    time.sleep(0.05)
with checkpoints.alone(folder):
    print("in", flush=True)
    time.sleep(1)
    print("out", flush=True)
"""
    log = tmp_path / "log"
    with log.open("a") as out:
        command = [sys.executable, "-c", program, str(tmp_path / "run")]
        running = [subprocess.Popen([*command, str(number)], stdout=out, stderr=out) for number in range(3)]
        assert [process.wait(timeout=120) for process in running] == [0, 0, 0]
    said = log.read_text().splitlines()
    assert [line for line in said if line in ("in", "out")] == ["in", "out"] * 3
    assert any("another process is at the same work" in line for line in said)
    assert not list(tmp_path.glob("*.lock"))
