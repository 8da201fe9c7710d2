"""The life of every method, found by discovery, from the frozen model to the folder and back; and folders that lie."""

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from huggingface_hub import ModelCard, ModelCardData
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModelForSequenceClassification, Trainer, TrainingArguments
from transformers.utils import hub

import architectures
import ketune
from architectures import ids, logits
from ketune import adapters, methods
from ketune.circuits import backends
from ketune.ground.errors import InputError
from ketune.waiting import after_import

every_method = pytest.mark.parametrize("name", methods.names())
EVERYWHERE = {"initialisation": "random"}  # these models have no tokenizer for a prefix to start from a text


def section(name: str) -> dict:
    """The method's defaults, on any model."""
    given = methods.defaults(name)
    return given | {key: value for key, value in EVERYWHERE.items() if key in given}


def attach(name: str, architecture: str = "llama") -> nn.Module:
    torch.manual_seed(1)
    return methods.load(name, section(name)).adapter.attach(architectures.model(architecture))


def trained(model: nn.Module) -> list[nn.Parameter]:
    return [p for p in model.parameters() if p.requires_grad]


def train(model: nn.Module) -> set[str]:
    """Three steps; the trained tensors that never received a gradient."""
    waiting = {name for name, p in model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.AdamW(trained(model), lr=0.02) if waiting else None
    model.train()
    for _ in range(3 if optimizer else 0):
        optimizer.zero_grad()
        model(input_ids=ids(), labels=ids()).loss.backward()
        waiting -= {n for n, p in model.named_parameters() if p.grad is not None and p.grad.count_nonzero()}
        optimizer.step()
    return waiting


@every_method
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_life_of_a_method(name: str, architecture: str, tmp_path: Path) -> None:
    before = architectures.model(architecture)
    model = attach(name, architecture)
    frozen = {n: p.clone() for n, p in model.named_parameters() if not p.requires_grad}
    assert not train(model), "some trained tensors never received a gradient"
    assert all(torch.equal(p, frozen[n]) for n, p in model.named_parameters() if n in frozen)
    adapters.save(model, tmp_path / "run", name, section(name))
    restored = adapters.restore(tmp_path / "run", architectures.model(architecture))
    assert torch.equal(logits(restored), logits(model))
    if isinstance(model, PeftModel):
        with model.disable_adapter():
            assert torch.equal(logits(model), logits(before))
        further = ketune.load(tmp_path / "run", architectures.model(architecture), is_trainable=not prefix(model))
        assert torch.equal(logits(further), logits(model))
        if not prefix(model):
            assert [p.shape for p in further.parameters() if p.requires_grad] == [p.shape for p in trained(model)]
        further.add_adapter("second", model.peft_config["default"])
        further.set_adapter("second")
        further.delete_adapter("default")
        assert list(further.peft_config) == ["second"]


@pytest.mark.parametrize("name", ["qaa", "lora", "sora", "prefix"])
def test_the_page_beside_an_adapter_states_what_is_known_and_no_folder(name: str, tmp_path: Path) -> None:
    model = attach(name)
    model.get_base_model().config._name_or_path = str(tmp_path)
    model.peft_config["default"].base_model_name_or_path = str(tmp_path)
    adapters.save(model, tmp_path / "run", name, section(name), {"training": "40 steps of 8"})
    page = (tmp_path / "run/README.md").read_text()
    assert "| training | 40 steps of 8 |" in page and "ketune.load(folder" in page and "| base model |" in page
    assert "More Information" not in page and str(tmp_path) not in page
    model.peft_config["default"].base_model_name_or_path = "owner/base"
    model.save_pretrained(str(tmp_path / "run"))
    again = (tmp_path / "run/README.md").read_text()
    if name in ("qaa", "sora"):  # the others' pages are peft's
        assert again.startswith("---\nbase_model: owner/base\n")


def test_a_page_of_somebodys_own_stays(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n# Mine\n")
    for _ in range(2):
        attach("qaa").save_pretrained(str(tmp_path))
    page = (tmp_path / "README.md").read_text()
    assert "license: mit" in page and "# Mine" in page and page.count("## Loading this adapter") == 1


def test_a_form_that_somebody_began_to_fill_in_stays(tmp_path: Path) -> None:
    form = ModelCard.from_template(ModelCardData())
    (tmp_path / "README.md").write_text(str(form))
    attach("qaa").save_pretrained(str(tmp_path))
    assert "[More Information Needed]" not in (tmp_path / "README.md").read_text(), "an empty one does not"
    (tmp_path / "README.md").write_text(str(form).replace("[More Information Needed]", "Ada", 1))
    attach("qaa").save_pretrained(str(tmp_path))
    page = (tmp_path / "README.md").read_text()
    assert "**Developed by:** Ada" in page and page.count("## Loading this adapter") == 1
    for own in ("---\nlicense: mit\n---\n", f"---\nlicense: mit\n---\n{form.text}"):
        (tmp_path / "README.md").write_text(own)
        attach("qaa").save_pretrained(str(tmp_path))
        page = (tmp_path / "README.md").read_text()
        assert "license: mit" in page and page.count("## Loading this adapter") == 1


def test_a_program_that_knows_peft_alone_runs_with_the_adapters_registered(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("import sys, peft; print(sys.argv[1:], peft.PeftType('QAA').value)")
    program = [sys.executable, "-m", "ketune", "program", "--flag", "x"]
    env = os.environ | {"PYTHONPATH": f"{Path(ketune.__file__).parents[1]}{os.pathsep}{tmp_path}"}
    done = subprocess.run(program, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "['--flag', 'x'] QAA\n"
    nothing = subprocess.run(program[:3], env=env, capture_output=True, text=True, check=False)
    assert nothing.returncode == 1 and "name a module" in nothing.stderr


def prefix(model: PeftModel) -> bool:
    """Whether peft treats it as a prompt, which it does not train further from a file."""
    return model.active_peft_config.is_prompt_learning


@every_method
def test_the_start_is_the_untuned_model(name: str) -> None:
    model = attach(name)
    start, untuned = logits(model), logits(architectures.model("llama"))
    assert torch.allclose(start, untuned, atol=1e-6) is not (isinstance(model, PeftModel) and prefix(model))


def test_every_kind_of_adapter_is_some_methods() -> None:
    used = {methods.declared(name).adapter for name in methods.names()}
    modules = {
        name.rpartition(".")[2]: module for name, module in sys.modules.items() if name.startswith("ketune.tuners.")
    }
    assert {name for name, module in modules.items() if "ADAPTER" in vars(module)} == used


TRAIN_ALL = """
import gc
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
import test_training
from ketune import adapters, methods
base, folder = Path(sys.argv[1]), Path(sys.argv[2])
gc.freeze()  # every training ends with a collection, which need not walk the imported libraries
for name in methods.names():
    section = methods.defaults(name)
    scratch = folder.parent / f"checkpoints-{folder.name}" / name
    model, _ = test_training.run(base, scratch, name, section, steps=2)
    adapters.save(model, folder / name, name, section)
"""


def test_equal_runs_are_equal_bytes_whatever_the_hash_seed(tiny_folder: Path, tmp_path: Path) -> None:
    folders = [tmp_path / seed for seed in ("1", "3")]
    running = [
        subprocess.Popen([sys.executable, "-c", TRAIN_ALL, str(tiny_folder), str(folder), str(Path(__file__).parent)],
                         env=os.environ | {"PYTHONHASHSEED": folder.name})
        for folder in folders
    ]  # fmt: skip
    assert [process.wait(timeout=300) for process in running] == [0, 0]
    first, second = (
        {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        for folder in folders
    )
    assert {path.parts[0] for path in first} == set(methods.names())
    assert len(first) > 2 * len(methods.names()) and set(first) == set(second)
    assert [name for name in first if first[name] != second[name]] == []


def test_where_a_circuit_runs_is_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter made for a device answers where that device is not."""
    with monkeypatch.context() as there:
        there.setattr(backends, "_decide", lambda *_: ("torch", "closed_form", "a machine with the device"))
        device = section("qaa") | {"device": "lightning.gpu", "gradient": "parameter_shift"}
        model = methods.load("qaa", device).adapter.attach(architectures.model("llama"))
        train(model)
        expected = logits(model)
        adapters.save(model, tmp_path / "run", "qaa", device)
    saved = json.loads((tmp_path / "run" / adapters.CONFIG).read_text())
    assert not {"device", "gradient"} & set(saved)
    with pytest.raises(InputError, match=r"qaa.device: .*lightning.gpu"):
        methods.adapter("qaa", device)
    restored = adapters.restore(tmp_path / "run", architectures.model("llama"))
    assert torch.equal(logits(restored), expected)
    elsewhere = methods.adapter("qaa", section("qaa") | {"device": "lightning.qubit"})
    elsewhere.set_runtime(restored)
    assert "lightning.qubit" in elsewhere.card(restored)["backend"]["name"]
    assert torch.allclose(logits(restored), expected, atol=1e-5)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Trained folders of a ketune adapter, a peft adapter and a whole model, with their base on disk."""
    home = tmp_path_factory.mktemp("saved")
    architectures.model("llama").save_pretrained(home / "base")
    for name in ("qaa", "lora", "full"):
        model = architectures.model("llama")
        model.config.name_or_path = model.name_or_path = str(home / "base")
        model = methods.load(name, section(name)).adapter.attach(model)
        train(model)
        adapters.save(model, home / name, name, section(name))
    return {name: home / name for name in ("base", "qaa", "lora", "full")}


def rewritten(change: Callable[[dict], object]) -> Callable[[Path], None]:
    """A change of adapter_config.json."""

    def apply(folder: Path) -> None:
        config = json.loads((folder / adapters.CONFIG).read_text())
        config = change(config) or config
        (folder / adapters.CONFIG).write_text(json.dumps(config))

    return apply


def reweighed(change: Callable[[dict], object]) -> Callable[[Path], None]:
    """A change of the weights."""

    def apply(folder: Path) -> None:
        [file] = folder.glob("*.safetensors")
        weights = load_file(file)
        change(weights)
        save_file(weights, file, metadata={"format": "pt"})

    return apply


def truncated(folder: Path) -> None:
    [file] = folder.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-40])


def pickled(folder: Path) -> None:
    [file] = folder.glob("*.safetensors")
    torch.save(load_file(file), folder / "adapter_model.bin")
    file.unlink()


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a tensor is missing": (reweighed(lambda w: w.pop(min(w))), "lacks 1 tensors|Missing key"),
    "a foreign tensor": (
        reweighed(lambda w: w.update(other=torch.ones(2))),
        r"unknown 1 tensors \(other\)|Unexpected key",
    ),
    "another shape": (reweighed(lambda w: w.update({max(w): torch.ones(3, 3)})), "size mismatch"),
    "truncated": (truncated, "SafetensorError"),
    "no weights": (lambda f: next(f.glob("*.safetensors")).unlink(), "no adapter_model.safetensors"),
    "a pickle": (pickled, "adapter_model.bin is a pickle"),
    "another rank": (rewritten(lambda c: c.update(r=3, layers=2)), "size mismatch"),
    "no JSON": (lambda f: (f / adapters.CONFIG).write_text("{"), "adapter_config.json: no configuration"),
    "a list": (rewritten(lambda c: [c]), "adapter_config.json: no configuration"),
    "no kind": (rewritten(lambda c: c.pop("peft_type") and None), "adapter_config.json: no configuration"),
    "an unknown kind": (rewritten(lambda c: c.update(peft_type="FLYING")), "'FLYING' are known neither"),
    "a kind that is no text": (rewritten(lambda c: c.update(peft_type=[])), "known neither"),
    "a value out of range": (rewritten(lambda c: c.update(r=-1, layers=-1)), "adapter_config.json: |cannot be loaded"),
    "a value of another type": (
        rewritten(lambda c: c.update(r="x", layers="x")),
        "adapter_config.json: |cannot be loaded",
    ),
    "an unknown task": (rewritten(lambda c: c.update(task_type="FLY")), "adapter_config.json: no configuration"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["qaa", "lora"])
def test_a_damaged_adapter_is_one_sentence(name: str, damage: str, saved: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(saved[name], tmp_path / "run")
    change, message = DAMAGES[damage]
    change(folder)
    for attempt in (adapters.restore, ketune.load):
        with pytest.raises(InputError, match=message) as error:
            attempt(folder, architectures.model("llama"))
        assert "\n" not in str(error.value) and str(folder) in str(error.value)


@pytest.mark.parametrize(
    "damage", ["a tensor is missing", "a foreign tensor", "another shape", "truncated", "a pickle"]
)
def test_a_damaged_model_is_one_sentence(damage: str, saved: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(saved["full"], tmp_path / "run")
    DAMAGES[damage][0](folder)
    with pytest.raises(InputError, match=DAMAGES[damage][1]) as error:
        adapters.restore(folder, architectures.model("llama"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["full", "qaa", "lora"])
def test_a_run_without_its_weights_is_not_taken_for_the_untuned_model(
    name: str, saved: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(saved[name], tmp_path / "run")
    for file in folder.iterdir():
        if file.name != "method.json":
            file.unlink()
    with pytest.raises(InputError, match=rf"neither adapter_config.json nor model.safetensors, but {name} trains"):
        adapters.restore(folder, architectures.model("llama"))
    (folder / "method.json").write_text("{")
    with pytest.raises(InputError, match=r"method\.json: no dict"):
        adapters.restore(folder, architectures.model("llama"))


def test_what_a_trainer_leaves_beside_the_weights_is_not_read(tmp_path: Path) -> None:
    model = attach("qaa")
    arguments = TrainingArguments(str(tmp_path), max_steps=1, save_steps=1, learning_rate=0.02, report_to="none",
                                  use_cpu=True, disable_tqdm=True)  # fmt: skip
    trainer = Trainer(model, arguments, train_dataset=[{"input_ids": row, "labels": row} for row in ids()])
    trainer.train()
    trainer.save_model(str(tmp_path / "final"))
    (tmp_path / "final/adapter_model.bin").write_text("whoever opens it fails")
    left = {"checkpoint-1": {"optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin"},
            "final": {"adapter_model.bin", "training_args.bin"}}  # fmt: skip
    for name, pickles in left.items():
        assert pickles <= {file.name for file in (tmp_path / name).iterdir()}
        loaded = ketune.load(tmp_path / name, architectures.model("llama"))
        assert torch.equal(logits(loaded), logits(model))


def test_an_adapter_of_another_model_is_refused(saved: dict[str, Path]) -> None:
    other = architectures.model("gpt2")
    for name in ("qaa", "lora"):
        with pytest.raises(InputError, match="cannot be loaded on this model"):
            ketune.load(saved[name], other)


@pytest.mark.parametrize(("name", "model"), [("qaa", "llama"), ("lora", "llama"), ("qaa", "gpt2")])
def test_a_base_model_is_as_it_was_where_the_adapter_is_refused(
    name: str, model: str, saved: dict[str, Path], tmp_path: Path
) -> None:
    base = architectures.model(model)
    before, modules = logits(base), list(map(type, base.modules()))
    base.train()
    folder = shutil.copytree(saved[name], tmp_path / "lacking")
    reweighed(lambda w: w.pop(min(w)))(folder)
    with pytest.raises(InputError, match=r"lacks 1 tensors|cannot be loaded on this model"):
        ketune.load(folder, base)
    assert all(module.training for module in base.modules())
    assert list(map(type, base.modules())) == modules and torch.equal(logits(base), before)
    assert all(weight.requires_grad for weight in base.parameters()) and not hasattr(base, "peft_config")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"revision": "abc"}, "^revision: 'abc' was given, but .* is a folder, which has none; leave it out"),
        ({"dtype": "bf16"}, "^dtype: 'bf16' is no type of weights; give 'auto', or one such as torch.bfloat16"),
        ({"dtype": torch.int8}, "^dtype: torch.int8 is no type of weights"),
        ({"dtype": torch.bfloat16, "base": architectures.model("llama")}, "^dtype: torch.bfloat16 was given, but base"),
    ],
)
def test_an_option_of_load_that_would_change_nothing_is_refused(
    options: dict, words: str, saved: dict[str, Path]
) -> None:
    with pytest.raises(InputError, match=words):
        ketune.load(saved["qaa"], **options)


@pytest.mark.parametrize("name", ["qaa", "lora", "prefix"])
def test_a_base_with_adapters_is_refused_and_stays_as_it_was(name: str, saved: dict[str, Path]) -> None:
    model = attach(name)
    before, names = logits(model), [key for key, _ in model.named_modules()]
    with pytest.raises(InputError, match=r"^base: it has adapters already; add another with base\.load_adapter"):
        ketune.load(saved["qaa"], model)
    assert [key for key, _ in model.named_modules()] == names and torch.equal(logits(model), before)


def test_adapters_have_names(saved: dict[str, Path], tmp_path: Path) -> None:
    model = ketune.load(saved["qaa"], architectures.model("llama"), adapter_name="first")
    model.load_adapter(str(saved["qaa"]), "second")
    assert list(model.peft_config) == ["first", "second"] and model.active_adapter == "first"
    assert torch.equal(logits(model), logits(ketune.load(saved["qaa"], architectures.model("llama"))))
    model.save_pretrained(tmp_path)
    with pytest.raises(
        InputError, match=rf"it holds the adapters first, second; give one of them, such as {tmp_path}/first"
    ):
        ketune.load(tmp_path, architectures.model("llama"))
    again = ketune.load(tmp_path / "second", architectures.model("llama"))
    assert torch.equal(logits(again), logits(model))


def test_load_finds_the_base_model_by_itself(saved: dict[str, Path]) -> None:
    expected = logits(ketune.load(saved["qaa"], architectures.model("llama")))
    assert torch.equal(logits(ketune.load(saved["qaa"])), expected)
    half = ketune.load(str(saved["lora"]), dtype=torch.bfloat16, is_trainable=True)
    assert half.dtype == torch.bfloat16 and half.training and any(p.requires_grad for p in half.parameters())
    with pytest.raises(InputError, match=r"nowhere/nothing: neither a folder nor an adapter"):
        ketune.load("nowhere/nothing")
    with pytest.raises(InputError, match=r"a b c: neither a folder nor an adapter"):
        ketune.load("a b c")
    with pytest.raises(InputError, match=r"base: 'tiny' is no model; give one that from_pretrained returned"):
        ketune.load(saved["qaa"], "tiny")  # type: ignore[arg-type]  # what a caller without types may write


def test_what_is_pushed_to_the_hub_is_loaded_by_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    remote, asked = tmp_path / "remote", []

    def fetch(name: str, **options: object) -> str:
        asked.append((name, options["revision"]))
        return str(remote)

    api = SimpleNamespace(create_repo=lambda name, **_: SimpleNamespace(repo_id=name))
    monkeypatch.setattr(hub, "hf_api", lambda: api)
    monkeypatch.setattr(hub, "create_and_tag_model_card", lambda *_, **__: ModelCard("---\n---\n"))
    monkeypatch.setattr(
        PeftModel, "_upload_modified_files", lambda _, folder, *__, **___: shutil.copytree(folder, remote)
    )
    monkeypatch.setattr(adapters, "snapshot_download", fetch)
    model = attach("qaa")
    train(model)
    model.push_to_hub("owner/name")
    loaded = ketune.load("owner/name", architectures.model("llama"), revision="abc")
    assert torch.equal(logits(loaded), logits(model)) and asked == [("owner/name", "abc")]


def test_the_task_decides_the_class_of_the_base_model(saved: dict[str, Path], tmp_path: Path) -> None:
    classifier = AutoModelForSequenceClassification.from_pretrained(saved["base"])
    get_peft_model(classifier, LoraConfig(task_type="SEQ_CLS")).save_pretrained(tmp_path)
    assert type(ketune.load(tmp_path).get_base_model()).__name__ == "LlamaForSequenceClassification"


def test_code_of_a_base_model_is_neither_run_nor_asked_for(
    saved: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = shutil.copytree(saved["base"], tmp_path / "base")
    config = json.loads((base / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}}
    (base / "config.json").write_text(json.dumps(config))
    (base / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    folder = shutil.copytree(saved["lora"], tmp_path / "run")
    rewritten(lambda c: c.update(base_model_name_or_path=str(base)))(folder)
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("it asks"))
    with pytest.raises(InputError, match="cannot be loaded"):
        ketune.load(folder)
    assert not (tmp_path / "ran").exists()


KNOWN = """
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING as kinds
assert {"QAA", "SORA", "QTHA", "QUANTUM_PEFT", "FEATURE_MAP"} <= {kind.name for kind in kinds}
from transformers import TrainerCallback
import ketune
assert issubclass(ketune.ProximalStep, TrainerCallback)
"""
ORDERS = [
    "import sys, ketune; assert not {'torch', 'peft'} & set(sys.modules)",
    "import ketune; from transformers import Trainer",  # it imports peft before it is whole
    "import transformers, ketune; from transformers import TrainerCallback",
    "from ketune import ProximalStep",
]


@pytest.mark.parametrize("first", ORDERS)
def test_import_ketune_makes_peft_know_its_kinds_in_any_order_and_imports_nothing_heavy(first: str) -> None:
    command = [sys.executable, "-c", f"{first}\n{KNOWN}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


def test_a_module_is_imported_right_after_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "awaited.py").write_text("import builtins\n")
    (tmp_path / "follower.py").write_text("import awaited\nassert awaited.builtins\n")
    monkeypatch.syspath_prepend(tmp_path)
    finders = list(sys.meta_path)
    after_import("awaited", "follower")
    assert "follower" not in sys.modules and len(sys.meta_path) == len(finders) + 1
    assert importlib.util.find_spec("awaited") is not None, "transformers looks whether peft is there, long before it"
    assert "follower" not in sys.modules
    importlib.import_module("awaited")
    assert "follower" in sys.modules and sys.meta_path == finders
    del sys.modules["follower"]
    after_import("awaited", "follower")
    assert "follower" in sys.modules and sys.meta_path == finders


def test_an_import_that_failed_is_tried_again_with_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "awaited_twice.py").touch()
    (tmp_path / "failing.py").write_text(
        "from pathlib import Path\nassert Path(__file__).with_name('ready').exists()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    finders = list(sys.meta_path)
    after_import("awaited_twice", "failing")
    for _ in range(2):
        with pytest.raises(AssertionError):
            importlib.import_module("awaited_twice")
    (tmp_path / "ready").touch()
    importlib.import_module("awaited_twice")
    assert "failing" in sys.modules and sys.meta_path == finders


@pytest.mark.parametrize("name", ["qaa_frozen", "random_linear", "random_quadratic", "quantum_peft_random"])
def test_what_is_fixed_is_loaded_unrounded(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = methods.load(name, section(name)).adapter.attach(architectures.model("llama").bfloat16()).eval()
    model.save_pretrained(tmp_path)
    again = PeftModel.from_pretrained(architectures.model("llama").bfloat16(), str(tmp_path), low_cpu_mem_usage=True)
    there = dict(again.named_buffers())
    fixed = {key: value for key, value in model.named_buffers() if "adapter" in key and value.is_floating_point()}
    assert fixed and all(torch.equal(value, there[key]) for key, value in fixed.items())
    assert torch.equal(model(input_ids=ids()).logits, again.eval()(input_ids=ids()).logits)
