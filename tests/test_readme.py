"""What the README says is what the project does."""

import re
import subprocess
from pathlib import Path

import yaml

from conftest import ROOT
from ketune import counts, methods
from ketune.report import exports

TEXT = (ROOT / "README.md").read_text()


def test_the_table_of_parameters_is_the_one_that_the_command_prints(capsys) -> None:
    counts.main()
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert "\n".join(printed).strip() in "\n".join(line.rstrip() for line in TEXT.splitlines())


def test_every_make_target_that_it_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"`?make ([a-z-]+)", TEXT)) - {"and"}
    assert {"repro", "test", "check", "paper"} <= named <= targets


def test_every_file_and_folder_that_it_names_exists() -> None:
    for path in re.findall(r"\]\((?!http)([^)]+)\)", TEXT):
        assert (ROOT / path).exists(), path


def test_every_parameter_that_it_sets_exists() -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    keys = re.findall(r"-S '?([a-z_]+)\.([a-z_]+)=", TEXT)
    assert keys and all(key in params[section] for section, key in keys)


def committed(path: Path) -> bytes:
    """What git has of a file: a run on another machine may have written other digits into the folder."""
    return subprocess.run(["git", "show", f"HEAD:{path.as_posix()}"], cwd=ROOT, check=True, capture_output=True).stdout


def test_the_published_page_shows_the_results_that_git_keeps() -> None:
    methods_run = tuple(yaml.safe_load(committed(Path("params.yaml")))["methods"])
    digest = exports.digest({path: committed(path) for path in exports.paths(methods_run)})
    page = committed(Path("reports/published/default.html")).decode()
    assert f'<meta name="results" content="{digest}">' in page, "run `make publish` after `dvc repro`"


def test_every_default_method_ships() -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert set(params["methods"]) <= set(methods.names())
    assert f"{sum(1 for _ in (ROOT / 'data/starter.jsonl').open()):,} instructions" in TEXT
