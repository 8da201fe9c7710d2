"""What CONTRIBUTING.md says is so."""

import importlib
import re

import torch
from peft import get_peft_model

import architectures
import ketune
import reruns
from architectures import logits
from conftest import ROOT
from ketune.counts import backbone

TEXT = (ROOT / "CONTRIBUTING.md").read_text()


def test_the_table_of_reruns_is_the_one_that_the_command_prints() -> None:
    [shown] = re.findall(r"<!-- reruns -->\n(.*?)<!-- /reruns -->", TEXT, re.DOTALL)
    assert shown == reruns.table(), "put the output of `python -m tests.reruns` there"


def test_words_and_paths_rerun_nothing_and_a_method_only_its_own_branch() -> None:
    assert reruns.reruns("src/ketune/ground/errors.py") == []
    assert reruns.reruns("src/ketune/report/page.css") == ["report"]
    assert reruns.reruns("src/ketune/methods/qaa.py") == [
        "tune@<method>", "train@<method>", "generate@<method>", "measure@<method>", "report"
    ]  # fmt: skip


def test_every_file_that_it_names_exists() -> None:
    named = re.findall(r"`((?:src/ketune|tests|report|circuits|metrics|tuners|stages)/[\w/.]+)`", TEXT)
    missing = [path for path in named if "lora_r16" not in path
               and not (ROOT / path).exists() and not (ROOT / "src/ketune" / path).exists()]  # fmt: skip
    assert named and not missing


def test_the_example_of_a_variant_is_a_method(tmp_path, monkeypatch) -> None:
    [code] = re.findall(r"   ```python\n(.*?)   ```", TEXT, re.DOTALL)
    module: dict = {}
    exec(re.sub(r"^   ", "", code, flags=re.MULTILINE), module)
    method = module["METHOD"]
    assert set(method.settings) == {"alpha", "dropout"}
    assert method.kind.configured({"alpha": 32.0, "dropout": 0.0, **method.fixed}).r == 16


def test_the_example_of_an_adapter_is_one(tmp_path, monkeypatch) -> None:
    [code] = re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    (tmp_path / "vector_example.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    config = importlib.import_module("vector_example").ADAPTER(task_type="CAUSAL_LM", scale=2.0)
    untuned = logits(architectures.model("llama"))
    model = get_peft_model(architectures.model("llama"), config)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    assert sum(map(len, trained)) == config.expected_parameters(backbone(architectures.CONFIGS["llama"]))
    assert torch.equal(logits(model), untuned)
    torch.nn.init.ones_(trained[0])
    assert not torch.equal(logits(model), untuned)
    model.save_pretrained(tmp_path / "saved")
    assert torch.equal(logits(ketune.load(tmp_path / "saved", architectures.model("llama"))), logits(model))
