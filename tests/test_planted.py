"""Planted data: equal settings are equal bytes, records say what the teacher says, angles are told from others."""

import filecmp
import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import PeftModel

from ketune import adapters, circuits, language_model, likelihood, methods, planted, tokens
from ketune.ground import params
from ketune.ground.errors import InputError
from ketune.records.examples import Example

SIZES = planted.Planted(seed=1, width=24, blocks=1, heads=2, words=61, sharpness=3.0, prompt_words=4, answer_words=24,
                        records=60, passages=3)  # fmt: skip
LONGEST = 2 + SIZES.prompt_words + SIZES.answer_words
SECTIONS = params.read(Path(__file__).parents[1] / "params.yaml")
TEACHERS = {"qaa": {"up.weight": 0.5}, "lora_matched": {"up.weight": 0.5}, "base": {}}


def write(folder: Path, teacher: str, **changes: int) -> Path:
    sizes = planted.Planted(**(vars(SIZES) | changes))
    section = {key: value for key, value in SECTIONS[teacher].items() if key != "learning_rates"}
    planted.write(folder, sizes, methods.adapter(teacher, methods.defaults(teacher) | section), TEACHERS[teacher])
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Teacher → folder."""
    folder = tmp_path_factory.mktemp("planted")
    return {teacher: write(folder / teacher, teacher) for teacher in TEACHERS}


def texts(folder: Path) -> list[Example]:
    lines = (folder / "records.jsonl").read_text().splitlines()
    return [Example(id=str(i), **json.loads(line)) for i, line in enumerate(lines)]


def loss(folder: Path, records_of: Path, teacher: str) -> float:
    """Nats per word that the teacher in `folder`, or the model alone, needs for another folder's records."""
    model, tokenizer = language_model.load(folder / "model", "fp32", "cpu")
    if teacher != "base":
        model = adapters.load(folder / "teacher", model)
    rows = tokens.tokenize(tokenizer, texts(records_of), LONGEST)
    values = likelihood.likelihoods(model, rows, tokenizer.pad_token_id)
    return sum(v.negative_log_likelihood for v in values) / sum(v.tokens for v in values)


@pytest.mark.parametrize("teacher", TEACHERS)
def test_equal_settings_are_equal_bytes(teacher: str, made: dict[str, Path], tmp_path: Path) -> None:
    again = write(tmp_path / "again", teacher)
    files = [str(file.relative_to(again)) for file in again.rglob("*") if file.is_file()]
    assert filecmp.cmpfiles(again, made[teacher], files, shallow=False) == (files, [], [])
    assert {"records.jsonl", "passages.jsonl", "model/model.safetensors"} <= set(files)


def test_teachers_share_model_and_instructions_and_nothing_else(made: dict[str, Path]) -> None:
    of_base, of_circuit = texts(made["base"]), texts(made["qaa"])
    assert filecmp.cmp(made["base"] / "model/model.safetensors", made["qaa"] / "model/model.safetensors", False)
    assert [text.instruction for text in of_base] == [text.instruction for text in of_circuit]
    assert not {text.output for text in of_base} & {text.output for text in of_circuit}


def test_another_seed_is_another_model_and_other_records(made: dict[str, Path], tmp_path: Path) -> None:
    other = write(tmp_path / "other", "base", seed=2)
    assert not filecmp.cmp(other / "model/model.safetensors", made["base"] / "model/model.safetensors", False)
    assert not set(texts(other)) & set(texts(made["base"]))


def test_a_record_is_one_token_a_word_and_its_end_is_cut_off(made: dict[str, Path]) -> None:
    _, tokenizer = language_model.load(made["qaa"] / "model", "fp32", "cpu")
    rows = tokens.tokenize(tokenizer, texts(made["qaa"]), LONGEST)
    for row, text in zip(rows, texts(made["qaa"]), strict=True):
        assert (row.response, len(row.ids)) == (2 + SIZES.prompt_words, LONGEST)
        assert tokenizer.eos_token_id not in row.ids  # unknown words would be that token
        assert tokenizer.decode(row.ids[row.response :]) == text.output


@pytest.mark.parametrize("teacher", TEACHERS)
def test_records_are_likeliest_to_who_made_them(teacher: str, made: dict[str, Path]) -> None:
    own = loss(made[teacher], made[teacher], teacher)
    assert all(own + 0.3 < loss(made[other], made[teacher], other) for other in TEACHERS if other != teacher)


def test_the_model_is_neither_sure_nor_clueless(made: dict[str, Path]) -> None:
    assert 0.2 * math.log(SIZES.words) < loss(made["base"], made["base"], "base") < 0.8 * math.log(SIZES.words)


def test_a_teacher_is_loaded_with_pefts_own_call(made: dict[str, Path]) -> None:
    model, _ = language_model.load(made["qaa"] / "model", "fp32", "cpu")
    teacher = PeftModel.from_pretrained(model, str(made["qaa"] / "teacher"))
    up = [weight for name, weight in teacher.named_parameters() if name.endswith("up.weight")]
    assert up and all(0.3 < float(weight.std()) < 0.7 for weight in up)


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"words: 71 is out of range; allowed is a number at most 70"):
        write(tmp_path / "long", "base", words=71)
    with pytest.raises(InputError, match=r"spreads: no trained weight is called 'down.weight'; there are .*up.weight"):
        planted.write(tmp_path / "named", SIZES, methods.adapter("qaa", SECTIONS["qaa"]), {"down.weight": 1.0})
    assert list(tmp_path.iterdir()) == []


rx = st.builds(
    circuits.Circuit, st.integers(2, 4), st.integers(1, 3), st.just("RX"), st.sampled_from(["ring", "chain"])
)


@settings(max_examples=30)
@given(rx, st.integers(0, 2**31), st.booleans())
def test_angles_that_give_the_same_features_are_no_error(circuit: circuits.Circuit, seed: int, mirrored: bool) -> None:
    torch.manual_seed(seed)
    angles = torch.empty(circuit.angle_shape, dtype=torch.float64).uniform_(-math.pi, math.pi)
    turned = angles + math.pi * torch.randint(-2, 3, circuit.angle_shape).double()
    turned = -turned if mirrored else turned
    h = torch.randn(5, 2**circuit.qubits, dtype=torch.float64)
    z, same = (circuits.expectations(h, a, circuit, "auto") for a in (angles, turned))
    torch.testing.assert_close(same, z * (same * z).sum(dim=0).sign())  # a sign for each feature, which W_up takes up
    assert planted.angle_error(turned[None], angles[None]) < 1e-9


def test_other_angles_are_an_error() -> None:
    angles = torch.tensor([[[0.3, -1.2, 2.0]]])
    assert planted.angle_error(angles + 0.2, angles) == pytest.approx(0.2)
    half = planted.angle_error(angles + math.pi / 2, angles)  # mirrored, the first angle is 0.97 off, the last 0.71
    assert half == pytest.approx(2.4 - math.pi / 2, abs=1e-5)


def test_the_circuit_of_each_block_has_a_sign_of_its_own() -> None:
    angles = torch.tensor([0.6, 1.0, -0.5]).expand(2, 1, 3)
    found = (angles + torch.tensor([0.1, 0.2, 0.3])) * torch.tensor([1.0, -1.0]).reshape(2, 1, 1)
    assert planted.angle_error(found, angles) == pytest.approx(0.2)
