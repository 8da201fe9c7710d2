"""Run peft's own tests over ketune's tuners: `python tests/peft_acceptance/run.py [pytest options]`.

The test files come from the source distribution of the installed peft version (its wheel has none): from the package
registry by pip, or from the file or folder that the variable PEFT_SDIST names. They are unpacked into a temporary
folder, together with tiny random models; nothing is written into the repository.
"""

import importlib.metadata
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

FILES = ("test_custom_models.py", "test_config.py", "test_decoder_models.py")


def fetch(folder: Path) -> Path:
    """The archive of peft's sources, of the very version that is installed."""
    given = os.environ.get("PEFT_SDIST")
    if given:
        return Path(given)
    version = importlib.metadata.version("peft")
    call = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "peft"]
    subprocess.run([*call, "--dest", str(folder), f"peft=={version}"], check=True)
    return folder / f"peft-{version}.tar.gz"


def unpack(archive: Path, folder: Path) -> None:
    """peft's tests as the package `tests` in `folder`."""
    with tarfile.open(archive) as tar:
        members = [m for m in tar.getmembers() if "/tests/" in m.name]
        for member in members:
            member.name = member.name.partition("/")[2]
        tar.extractall(folder, members, filter="data")
    (folder / "tests" / "__init__.py").touch()
    (folder / "pytest.ini").write_text("[pytest]\n")


def make_models(folder: Path) -> None:
    """Two-block models with random weights; GPT-2 is called conv1d, as peft's tests skip that name for other tuners."""
    import torch
    import transformers as t

    same = {"vocab_size": 64, "max_position_embeddings": 64, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    llama = same | {
        "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }  # fmt: skip
    neo = same | {"hidden_size": 16, "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]]}
    configs = {
        "llama": t.LlamaConfig(**llama),
        "mistral": t.MistralConfig(**llama),
        "qwen2": t.Qwen2Config(**llama),
        "neo": t.GPTNeoConfig(**neo),
        "conv1d": t.GPT2Config(**same, n_embd=16, n_layer=2, n_head=4, n_positions=64, resid_pdrop=0.0),
    }
    for name, config in configs.items():
        torch.manual_seed(0)
        t.AutoModelForCausalLM.from_config(config).save_pretrained(folder / name)


def make_adapter(folder: Path) -> None:
    """A configuration of peft's own, for tests that load one."""
    import peft

    peft.LoraConfig().save_pretrained(str(folder))


def main() -> int:
    """Fetch, unpack, make models, and hand over to pytest."""
    here = Path(__file__).resolve().parent
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        unpack(fetch(folder), folder)
        make_models(folder / "models")
        make_adapter(folder / "adapter")
        paths = [str(folder), str(here), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(paths),
            "KETUNE_TINY_MODELS": str(folder / "models"),
            "KETUNE_TINY_ADAPTER": str(folder / "adapter"),
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_VERBOSITY": "error",
        }
        call = [sys.executable, "-m", "pytest", "-p", "plugin", "-q", "-W", "ignore", *sys.argv[1:]]
        call += [f"tests/{name}" for name in FILES]
        return subprocess.run(call, cwd=folder, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
