"""A language model small enough to train in a second, its tokenizer, and a project that DVC can run with it."""

import atexit
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: tests run side by side, and tiny models want no threads

import pytest
import torch
import yaml
from dvc.utils.serialize import modify_yaml
from filelock import FileLock
from hypothesis import settings as hypothesis_settings
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

os.environ["HF_HUB_OFFLINE"] = "1"
hypothesis_settings.register_profile("ketune", deadline=None, derandomize=True)  # the same on every machine
hypothesis_settings.load_profile("ketune")
ROOT = Path(__file__).parents[1]
WIDTH = 32


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token per byte, and an end-of-text token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {symbol: i for i, symbol in enumerate([*alphabet, "<end>"])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>")


def tiny_config(**changes: object) -> LlamaConfig:
    """A Llama of two blocks and width 32."""
    values = {
        "vocab_size": 257, "hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512, "tie_word_embeddings": True,
        "bos_token_id": 256, "eos_token_id": 256, "pad_token_id": 256,
    }  # fmt: skip
    return LlamaConfig(**(values | changes))


def save_tiny_model(folder: Path) -> Path:
    """Write the tiny model and its tokenizer, in safetensors."""
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(tiny_config()).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny model."""
    return save_tiny_model(tmp_path_factory.mktemp("tiny"))


def records(count: int) -> list[dict[str, str]]:
    """Records that differ, a third of them with an input."""
    return [
        {
            "instruction": f"Say the number {i} in a short sentence.",
            "input": f"The number is {i}." if i % 3 == 0 else "",
            "output": f"The number you asked for is {i}.",
        }
        for i in range(count)
    ]


def tiny_params(model: Path, methods: list[str], seeds: list[int]) -> dict:
    """The project's own params.yaml at the size of a test."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["data"] |= {"source": "data/tiny.jsonl", "test_fraction": 0.2, "validation_fraction": 0.1}
    params["language_model"] = {"name": str(model), "revision": None}
    params["train"] |= {"steps": 4, "batch_size": 2, "warmup_steps": 1, "checkpoint_every": 2, "precision": "fp32"}
    params["train"] |= {"max_tokens": 320, "device": "cpu"}
    params["tune"] |= {"trials": 2, "refined": 0, "confirmed": 2, "validation_records": 4}
    params["generate"] |= {"prompts": 4, "likelihood_records": 4, "max_new_tokens": 8, "device": "cpu"}
    return params | {"methods": methods, "seeds": seeds}


class Project:
    """A copy of the project that runs at the size of a test, under git and DVC."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def create(cls, folder: Path, model: Path, methods: list[str], seeds: list[int]) -> "Project":
        """The project's own code and pipeline with the tiny model and records, committed."""
        project = cls(folder)
        for name in ("src", "stages"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        for name in ("dvc.yaml", ".dvcignore", ".gitignore"):
            shutil.copy(ROOT / name, folder / name)
        (folder / "data").mkdir()
        for name in ("hardware", "plan", "planted", "tuned"):
            (folder / "reports" / name).mkdir(parents=True)
            (folder / "reports" / name / "README.md").touch()
        lines = "".join(json.dumps(record) + "\n" for record in records(60))
        (folder / "data/tiny.jsonl").write_text(lines)
        passages = [{"text": f"The river number {i} flows from the hills to the sea."} for i in range(3)]
        (folder / "data/retention.jsonl").write_text("".join(json.dumps(p) + "\n" for p in passages))
        project.write_params(tiny_params(model, methods, seeds))
        project.run("git", "init", "-q", "-b", "main")
        project.run("dvc", "init", "-q")
        project.run("dvc", "config", "core.analytics", "false")
        shutil.copytree(ROOT / ".dvc/plots", folder / ".dvc/plots", dirs_exist_ok=True)
        project.commit("start")
        return project

    def copy(self, folder: Path) -> "Project":
        """The same project elsewhere, results and cache included."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder)

    def clone(self, folder: Path) -> "Project":
        """A second machine: what git knows, and no data."""
        self.run("git", "clone", "-q", ".", str(folder))
        return Project(folder)

    def restore(self) -> None:
        """Back to the last commit and its results."""
        self.run("git", "checkout", "-q", ".")
        self.run("git", "clean", "-fdq")
        self.run("dvc", "checkout", "-q", "--force")

    def write_params(self, params: dict) -> None:
        """Write params.yaml with the lists last, as the project's own has them."""
        path = self.folder / "params.yaml"
        path.write_text(yaml.safe_dump(params, sort_keys=False))
        with modify_yaml(str(path)):  # the form in which `dvc exp run -S` leaves the file
            pass

    def params(self) -> dict:
        """params.yaml as it is."""
        return yaml.safe_load((self.folder / "params.yaml").read_text())

    def run(self, *command: str, fails: bool = False) -> str:
        """Run a command in the project; its output. With `fails`, a non-zero status is demanded."""
        result = subprocess.run(
            command, cwd=self.folder, env=environment(), capture_output=True, text=True, timeout=600, check=False
        )
        output = result.stdout + result.stderr
        assert (result.returncode != 0) == fails, f"{' '.join(command)} ended with {result.returncode}:\n{output}"
        return output

    def commit(self, message: str) -> None:
        """Commit all that git does not ignore."""
        self.run("git", "add", "-A")
        self.run(
            "git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "--allow-empty", "-m", message
        )

    def stages_run(self, *command: str) -> set[str]:
        """The stages that a dvc command executed, from its own output."""
        output = self.run(*command)
        return {line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage '")}


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project of `base` and `qaa` after its first `dvc repro`, committed. All test processes share it: copy it."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "finished"
    with FileLock(f"{shared}.lock"):
        project = Project(shared / "project")
        if not (shared / "whole").exists():
            project = Project.create(project.folder, save_tiny_model(shared / "model"), ["base", "qaa"], [0])
            project.run("dvc", "repro")
            project.commit("results")
            (shared / "whole").touch()
    return project


@pytest.fixture(scope="module")
def done(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished project of a test module's own."""
    return finished.copy(tmp_path_factory.mktemp("own") / "project")


@functools.cache
def warm_folder() -> str:
    """A folder with a `python` that has the libraries loaded (see warm.py); it lives as long as this process."""
    folder = tempfile.TemporaryDirectory(prefix="warm")
    server = subprocess.Popen([sys.executable, ROOT / "tests/warm.py", folder.name], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)  # fmt: skip
    assert server.stdout.readline() == "ready\n"
    atexit.register(lambda: (server.stdin.close(), server.wait(), folder.cleanup()))
    return folder.name


def environment(*, cold: bool = False) -> dict[str, str]:
    """The tests' environment, with its own interpreter first and no hub; `cold` for stages that load all themselves."""
    path = os.pathsep.join([*([] if cold else [warm_folder()]), str(Path(sys.executable).parent), os.environ["PATH"]])
    drop = ("DVC_ROOT", "DVC_STAGE", "PYTHONPATH")
    return {k: v for k, v in os.environ.items() if k not in drop} | {"PATH": path, "HF_HUB_OFFLINE": "1"}


# Long ones, so that no process ends alone; `make test` tells xdist to keep this order.
FIRST = ("test_sharing", "test_pipeline", "test_faults", "test_report", "test_planted_study", "test_packaged_weights")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files; test processes take files in this order."""
    items.sort(key=lambda item: FIRST.index(item.path.stem) if item.path.stem in FIRST else len(FIRST))
