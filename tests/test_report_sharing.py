"""An adapter as a folder to give away: what its page says, and what is refused."""

import json
from pathlib import Path

import pytest

from conftest import Project
from ketune.ground.errors import InputError
from ketune.report import sharing


@pytest.fixture
def workspace(done: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(done.folder)
    return done.folder


def test_a_shared_adapter_is_the_runs_own_with_losses_and_verdict_on_its_page(workspace: Path, tmp_path: Path) -> None:
    target = tmp_path / "adapter"
    sharing.share("qaa-0", str(target))
    run = workspace / "data/adapters/qaa-0"
    assert {path.name for path in run.iterdir()} == {path.name for path in target.iterdir()}
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        assert (run / name).read_bytes() == (target / name).read_bytes()
    lines = dict(line.strip("| ").split(" | ", 1) for line in (target / "README.md").read_text().splitlines()
                 if line.startswith("| ") and " | " in line.strip("| "))  # fmt: skip
    before = (run / "README.md").read_text()
    assert "held-out" not in before and set(lines) > {"base model", "learning rates", "written by"}
    metrics = {name: (workspace / f"reports/metrics/{name}.json").read_text() for name in ("base", "qaa")}
    told, untuned = (lines[name].split()[0] for name in ("held-out loss", "held-out loss of the base model"))
    assert f'"loss": {told}' in metrics["qaa"] and f'"loss": {untuned}' in metrics["base"]
    assert "mean of 1 seed over" in lines["held-out loss"] and "95 % interval [" in lines["held-out loss"]
    assert lines["data"] == "data/tiny.jsonl" and lines["base model"] == "model"
    assert lines["verdict"].startswith("QAA: that the circuit contributes is not shown")


def test_a_shared_adapter_names_a_base_model_that_others_can_load(
    done: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(done.folder)
    before = done.params()
    hub = {"name": "owner/model", "revision": "0123456789abcdef0123456789abcdef01234567"}
    done.write_params(before | {"language_model": hub})
    sharing.share("qaa-0", str(tmp_path / "adapter"))
    done.write_params(before)
    config, own = (json.loads((folder / "adapter_config.json").read_text())
                   for folder in (tmp_path / "adapter", done.folder / "data/adapters/qaa-0"))  # fmt: skip
    assert config == own | {"base_model_name_or_path": hub["name"], "revision": hub["revision"]}
    assert "| base model | owner/model |" in (tmp_path / "adapter/README.md").read_text()


def test_what_cannot_be_shared_is_refused_and_nothing_is_written(workspace: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"RUN: 'base-0' is no run with an adapter; there are qaa-0\."):
        sharing.share("base-0", str(tmp_path / "new"))
    (tmp_path / "old").mkdir()
    with pytest.raises(InputError, match="is no new folder"):
        sharing.share("qaa-0", str(tmp_path / "old"))
    with pytest.raises(InputError, match="TO: '' is no new folder"):
        sharing.share("qaa-0", "")
    page = workspace / "data/adapters/qaa-0/README.md"
    written = page.read_text()
    page.chmod(0o644)
    page.write_text("mine")
    with pytest.raises(InputError, match="is no page of ketune's"):
        sharing.share("qaa-0", str(tmp_path / "new"))
    page.write_text(written)
    assert [path.name for path in tmp_path.iterdir()] == ["old"] and not list((tmp_path / "old").iterdir())


@pytest.mark.parametrize("given", [[], ["qaa-0"], ["qaa-0", "folder", "more"]], ids=str)
def test_a_run_and_a_folder_are_asked_for(given: list[str]) -> None:
    with pytest.raises(InputError, match="a run and a folder are expected, as in `qaa-0 folder`"):
        sharing._asked(given)
