"""What the README says is what the project does."""

import ast
import csv
import importlib.metadata
import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

import architectures
import ketune
from conftest import ROOT
from ketune import counts, methods
from ketune.report import exports
from ketune.tuners.sites import SITES

TEXT = (ROOT / "README.md").read_text()
LIBRARY = (ROOT / "src/ketune/README.md").read_text()
PAGES = [
    pytest.param(page, id=str(page.relative_to(ROOT)))
    for page in sorted({ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "src/ketune/README.md",
                        ROOT / "tests/README.md", *(ROOT / "reports").glob("**/README.md"),
                        *(ROOT / "stages").glob("**/README.md")})
]  # fmt: skip


@pytest.mark.parametrize("text", [TEXT, LIBRARY], ids=["project", "library"])
def test_every_snippet_runs_in_its_order(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tiny, load = architectures.model("gpt_neo"), AutoModelForCausalLM.from_pretrained
    tiny.save_pretrained("base")
    monkeypatch.setattr(
        AutoModelForCausalLM, "from_pretrained", lambda name, **options: load("base", **options)
    )  # whatever the hub has
    ids = architectures.ids()
    inputs = {"input_ids": ids, "attention_mask": ids.new_ones(ids.shape)}
    monkeypatch.setattr(AutoTokenizer, "from_pretrained", lambda name: lambda text, return_tensors: inputs)
    names: dict[str, object] = {}
    snippets = re.findall(r"```python\n(.*?)```", text, re.S)
    assert snippets
    for snippet in snippets:
        exec(snippet, names)  # the project's own text
        if not Path("folder").exists():
            names["model"].save_pretrained("folder")


def test_the_library_page_gives_the_rates_that_the_study_searches() -> None:
    for name, config in (("qaa", "QAA"), ("qtha", "QTHA"), ("quantum_peft", "QuantumPEFT"), ("sora", "SoRA")):
        method = methods.declared(name)
        searched = {part: rate for part, rate in method.rates.items() if part not in method.optional}
        listed = ", ".join(f"{part} {rate.low:g} to {rate.high:g}" for part, rate in searched.items())
        assert f"| `{config}Config` | {listed} |" in LIBRARY
    assert f"known for {len(SITES)} architectures" in " ".join(LIBRARY.split())


def test_the_library_page_has_no_link_that_breaks_on_an_index() -> None:
    assert all(link.startswith("https://") for link in re.findall(r"\]\(([^)]+)\)", LIBRARY))


def test_one_version_everywhere() -> None:
    assert f"version: {ketune.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert importlib.metadata.version("ketune") == ketune.__version__


def test_every_public_name_is_there_and_typed() -> None:
    (typed,) = (node for node in ast.parse(Path(ketune.__file__).read_text()).body if isinstance(node, ast.If))
    homes = {alias.asname: one.module for one in typed.body if isinstance(one, ast.ImportFrom) for alias in one.names}
    assert homes == ketune._HOMES and ketune.__all__ == sorted(homes)
    assert all(getattr(ketune, name).__name__ == name for name in homes)
    assert (ROOT / "src/ketune/py.typed").exists()


def test_the_table_of_parameters_is_the_one_that_the_command_prints(capsys) -> None:
    counts.main()
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    page = (ROOT / "reports/benchmarks/parameters.md").read_text()
    assert "\n".join(printed).strip() in "\n".join(line.rstrip() for line in page.splitlines())


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(), re.M)) <= targets


@pytest.mark.parametrize("page", PAGES)
def test_every_file_and_folder_that_a_page_names_exists(page: Path) -> None:
    for link in re.findall(r"\]\((?!http)([^)]+)\)", page.read_text()):
        path, _, heading = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not heading or heading in headings(target), link


def headings(page: Path) -> set[str]:
    """What links call a page's sections."""
    lines = re.findall(r"^##+ (.*)", page.read_text(), re.M)
    return {re.sub(r"[^a-z0-9_ -]", "", line.lower()).replace(" ", "-") for line in lines}


@pytest.mark.parametrize("page", PAGES)
def test_every_parameter_that_a_page_sets_exists(page: Path) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for section, key in re.findall(r"-S '?([a-z_]+)\.([a-z_]+)=", page.read_text()):
        assert key in params[section], (section, key)


def committed(path: Path) -> bytes:
    """What git has of a file: a run on another machine may have written other digits into the folder."""
    return subprocess.run(["git", "show", f"HEAD:{path.as_posix()}"], cwd=ROOT, check=True, capture_output=True).stdout


def test_the_published_page_shows_the_results_that_git_keeps() -> None:
    methods_run = tuple(yaml.safe_load(committed(Path("params.yaml")))["methods"])
    digest = exports.digest({path: committed(path) for path in exports.paths(methods_run)})
    page = committed(Path("reports/published/default.html")).decode()
    assert f'<meta name="results" content="{digest}">' in page, "run `make publish` after `dvc repro`"


def test_the_losses_and_the_distance_that_it_tells_are_those_of_the_default_run() -> None:
    losses = {
        name: json.loads(committed(Path(f"reports/metrics/{name}.json")))["loss"]
        for name in ("full", "lora", "sora", "prefix", "qaa", "quantum_peft", "base")
    }
    words = (
        "held-out losses are {full:.3f} (full), {lora:.3f} (LoRA), {sora:.3f} (SoRA), {prefix:.3f} (prefix), "
        "{qaa:.3f} (QAA), {quantum_peft:.3f} (Quantum-PEFT)"
    )
    assert f"{words} and {{base:.3f}} without tuning".format(**losses) in said()
    page = " ".join(re.sub("<[^>]+>", " ", committed(Path("reports/published/default.html")).decode()).split())
    distance = re.search(r"QAA's angles by ([0-9.]+) rad in the median", said())
    assert distance and re.search(rf"QAA angles [0-9.]+ {distance[1]} median", page)


def said(page: str = "README.md") -> str:
    """A page's text in one line, quotations included."""
    return " ".join(re.sub(r"^> ?", "", (ROOT / page).read_text(), flags=re.M).split())


MEASURED = said("reports/benchmarks/README.md")


def test_what_shots_leave_is_what_was_measured() -> None:
    with (ROOT / "reports/benchmarks/shots_alpaca.csv").open() as file:
        rows = {row["Circuits read"]: row for row in csv.DictReader(file)}
    kept = {name: float(row["Gain kept"]) for name, row in rows.items()}
    many, some = (f"{100 * kept[shots]:.0f} %" for shots in ("10,000 shots", "1,000 shots"))
    words = f"QAA keeps {many} with 10,000 shots for each circuit and token, {some} with 1,000"
    assert all(f"{words}, and with 100 the model is far worse than untuned" in page for page in (MEASURED, said()))
    assert kept["100 shots"] < -1
    gain = float(rows["100 shots"]["Less exact"]) / (1 - kept["100 shots"])
    alone, disturbed = (
        rows[name]["Less exact, note"].strip("[]").replace("+", "").split(", ")
        for name in ("1,000 shots", "depolarizing 0.001, read-out 0.01, 1,000 shots")
    )
    assert (
        f"QAA gains {gain:.3f} nats: 1,000 shots cost one of two runs {alone[0]} and the other {alone[1]}" in MEASURED
    )
    assert f"and of 0.01 in its read-out they cost {disturbed[1]} and {disturbed[0]}. So differences" in MEASURED
    with (ROOT / "reports/benchmarks/shots.csv").open() as file:
        rows = {(row["Method"], row["Circuits read"]): row for row in csv.DictReader(file)}
    kept = {key: float(row["Gain kept"]) for key, row in rows.items()}
    many, some = (f"{100 * kept['QAA', shots]:.0f}" for shots in ("10,000 shots", "1,000 shots"))
    assert f"it keeps {many} and {some} % with as many shots" in MEASURED
    few = rows["QTHA", "100 shots"]
    gain = float(few["Less exact"]) / (1 - kept["QTHA", "100 shots"])
    assert f"gains {gain:.3f} nats, of which 100 shots leave {100 * kept['QTHA', '100 shots']:.0f} %" in MEASURED
    assert f"and 1,000 leave {100 * kept['QTHA', '1,000 shots']:.0f} %" in MEASURED


def test_what_a_machines_noise_leaves_is_what_was_measured() -> None:
    with (ROOT / "reports/benchmarks/shots.csv").open() as file:
        rows = {(row["Method"], row["Circuits read"]): row for row in csv.DictReader(file)}
    assert f"lowers its loss by {-float(rows['QTHA', 'FakeTorino, 10,000 shots']['Less exact']):.3f}" in MEASURED
    kept = re.findall(
        r"\| (QTHA|QAA), [^|]*\| \d+ \| ([0-9.]+) ± ([0-9.]+)", (ROOT / "reports/benchmarks/hardware.md").read_text()
    )
    slopes = {name: (slope, error) for name, slope, error in kept}
    words = "slope of {} through QTHA's circuit and of {} ± {} (standard error, 12 inputs) through QAA's"
    assert words.format(slopes["QTHA"][0], *slopes["QAA"]) in MEASURED


def test_what_noise_leaves_of_a_small_circuit_is_what_was_measured() -> None:
    page = (ROOT / "reports/benchmarks/small_circuit.md").read_text()
    kept = {name: int(share) for name, share in re.findall(r"^\| ([^|]+) \| .* \| (-?\d+) % \|$", page, re.M)}
    torino, sherbrooke = (kept[f"QAA, {machine}, 1,000 shots"] for machine in ("FakeTorino", "FakeSherbrooke"))
    best = max(share for name, share in kept.items() if not name.startswith("QAA"))
    assert f"leave {torino} % of QAA's gain and through FakeSherbrooke's {sherbrooke} % (two seeds, 16 ref" in said()
    assert f"the best arm without its circuit has {best} %" in said()
    words = (
        f"{torino} % with 1,000 shots through FakeTorino and {sherbrooke} % through FakeSherbrooke, where the best arm"
    )
    assert f"{words} without the circuit has {best} %" in MEASURED
    assert "fake_torino 54 two-qubit gates" in page and "it takes 54 two-qubit gates" in MEASURED
    assert kept["QAA, exact"] == 100 and len(kept) == 19


def test_every_default_method_ships() -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert set(params["methods"]) <= set(methods.names())
    assert f"{sum(1 for _ in (ROOT / 'data/starter.jsonl').open()):,} instructions" in TEXT
