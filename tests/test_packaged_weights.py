"""The real thing, small: the packaged SmolLM2-135M is converted, adapted for a few steps, and answers."""

import dataclasses
from pathlib import Path

import pytest
import yaml

from conftest import ROOT
from ketune import adapters, corpus, generation, language_model, methods, tokens, weights
from ketune.ground.params import Generate, LanguageModel, Train
from ketune.records.predictions import Answer
from ketune.report import caveats
from ketune.training import loop

PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("weights") / "model"
    weights.fetch(LanguageModel(**PARAMS["language_model"]), target)
    return target


def test_the_packaged_model_learns_with_a_circuit_and_answers(folder: Path, tmp_path: Path) -> None:
    assert not [file for file in folder.iterdir() if file.suffix in (".bin", ".pt")]
    model, tokenizer = language_model.load(folder, PARAMS["train"]["precision"], "cpu")
    assert sum(p.numel() for p in model.parameters()) == 134_515_008
    data = corpus.build(corpus.Data(**PARAMS["data"] | {"source": str(ROOT / PARAMS["data"]["source"])}))
    examples = sorted(data.examples["train"], key=lambda e: len(e.instruction + e.input + e.output))[40:44]
    rows = tokens.tokenize(tokenizer, examples, 128)
    plain = tokenizer(tokens.prompt(examples[0]), add_special_tokens=False)["input_ids"]
    assert rows[0].ids[: rows[0].response] == plain, "its tokenizer begins a text with no token of its own"
    method = methods.load("qaa", PARAMS["qaa"])
    language_model.fix_randomness(0)
    adapted = method.adapter.attach(model)
    settings = dataclasses.replace(Train(**PARAMS["train"]), steps=8, warmup_steps=1, device="cpu", checkpoint_every=8)
    result = loop.train(method, adapted, rows, settings, seed=0, padding=tokenizer.pad_token_id, folder=tmp_path / "c")
    losses = [point.loss for point in result.curve]
    assert losses[0] < 5 and losses[-1] < losses[0] - 0.1  # the same four records at every step
    assert result.parameters.trainable == 30 * (10 * (576 + 1) + 576) == result.parameters.receiving
    adapters.save(adapted, tmp_path / "adapter", "qaa", PARAMS["qaa"])
    exact, _ = language_model.load(folder, "fp32", "cpu")
    restored = adapters.restore(tmp_path / "adapter", exact)
    decoding = Generate(**PARAMS["generate"] | {"max_new_tokens": 8})
    [answer] = generation.answers(restored, tokenizer, examples[:1], decoding, 128)
    assert isinstance(answer, Answer) and answer.prediction and answer.new_tokens <= 8


def test_the_page_says_what_each_packaged_model_is() -> None:
    assert caveats.PACKAGED.keys() == weights.PACKAGED.keys()
    for name, package in weights.PACKAGED.items():
        model, scheme = package.file.split(".")[:2]
        assert model in caveats.PACKAGED[name] and scheme in caveats.PACKAGED[name]
