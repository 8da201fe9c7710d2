"""What the library's page promises an engineer holds in one go, in a process of its own."""

import subprocess
from pathlib import Path

from conftest import ROOT, environment


def test_train_save_and_load_elsewhere(tmp_path: Path) -> None:
    done = subprocess.run(
        ["python", str(ROOT / "tests/first_hour.py"), str(tmp_path)], env=environment() | {"PYTHONPATH": "src"},
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "bytes saved, equal logits where they are loaded" in done.stdout
