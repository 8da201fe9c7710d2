"""DVC on the project's own dvc.yaml, with a tiny model: what runs, what is restored, what a user is told."""

import csv
import json
import runpy
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from conftest import ROOT, Project, records, tiny_params
from ketune import adapters, language_model
from ketune.circuits import Noise
from ketune.ground import files, layout, params
from ketune.records.examples import Example
from ketune.records.measured import Measured

METHODS = ["base", "qaa"]


def branch(method: str, seeds: tuple[int, ...] = (0,)) -> set[str]:
    return {f"{stage}@{method}-{seed}" for stage in ("train", "generate", "score") for seed in seeds} | {"report"}


@pytest.fixture
def project(done: Project) -> Project:
    """The finished project, brought back afterwards to where it was."""
    yield done
    done.restore()


def test_a_second_repro_runs_nothing(project: Project) -> None:
    assert project.stages_run("dvc", "repro") == set()
    assert "up to date" in project.run("dvc", "status")
    assert project.run("git", "status", "--porcelain") == ""


def test_one_hyperparameter_reruns_its_branch_and_setting_it_back_runs_nothing(project: Project) -> None:
    assert project.stages_run("dvc", "exp", "run", "-S", "qaa.layers=4") == branch("qaa") | {"tune@qaa"}
    changed = json.loads(project.run("dvc", "metrics", "diff", "--json"))
    assert changed and all("qaa" in path for path in changed)
    assert list(json.loads(project.run("dvc", "params", "diff", "--json"))["params.yaml"]) == ["qaa.layers"]
    assert project.stages_run("dvc", "exp", "run", "-S", "qaa.layers=1") == set()
    assert project.run("git", "status", "--porcelain") == ""


def test_a_rate_that_is_to_be_tuned_is_found_again_only_where_something_that_decides_it_changed(
    project: Project,
) -> None:
    def runs(*settings: str, target: str = "tune@qaa") -> set[str]:
        return project.stages_run("dvc", "exp", "run", *(word for s in settings for word in ("-S", s)), target)

    assert runs("qaa.learning_rates.angles=tuned", target="train@qaa-0") == {"tune@qaa", "train@qaa-0"}
    assert "up to date" in project.run("dvc", "status", "tune@qaa", "train@qaa-0")
    found = json.loads((project.folder / "data/tuned/qaa.json").read_text())
    used = json.loads((project.folder / "data/adapters/qaa-0/method.json").read_text())["values"]["learning_rates"]
    assert used == found["rates"] and len(found["search"]["trials"]) == 4
    assert used["projection"] == project.params()["qaa"]["learning_rates"]["projection"]
    assert list(found["search"]["ranges"]) == ["angles"]
    assert runs("train.checkpoint_every=1", target="train@qaa-0") == set()
    assert runs("train.checkpoint_every=1", "train.device=auto", "generate.temperature=0.5", "seeds=[0,1]") == set()
    assert runs("generate.max_new_tokens=5") == {"prepare"}, "to see whether answers fit; it writes the same again"
    assert runs("train.weight_decay=0.1") == {"tune@qaa"}


def test_circuits_are_read_as_on_hardware_where_that_is_asked_for_and_nothing_is_trained_again(
    project: Project,
) -> None:
    asked = ["hardware.methods=[qaa]", "hardware.records=3", "hardware.shots=[4000,10]", "hardware.readout=0.2"]
    command = ["dvc", "exp", "run", *(word for one in asked for word in ("-S", one))]
    assert project.stages_run(*command) == {"measure@qaa-0", "report"}
    with (project.folder / "reports/tables/shots.csv").open() as file:
        rows = {row["Circuits read"]: float(row["Less exact"]) for row in csv.DictReader(file)}
    noise = "depolarizing 0.001, read-out 0.2"
    assert list(rows) == ["exact", "4,000 shots", "10 shots", noise, f"{noise}, 4,000 shots", f"{noise}, 10 shots"]
    assert rows["exact"] == 0 and 0 < abs(rows["4,000 shots"]) < abs(rows["10 shots"])
    found = json.loads((project.folder / "reports/hardware/measured/qaa-0.json").read_text())
    kept = {row["id"]: row["negative_log_likelihood"] for row in map(json.loads, (
        project.folder / "data/predictions/qaa-0/likelihood.jsonl").read_text().splitlines())}  # fmt: skip
    assert found["readings"][0]["losses"] == pytest.approx([kept[one] for one in found["ids"]], rel=1e-5)
    found["readings"][0]["losses"][0] *= 1.01  # as if it were of other weights
    (project.folder / "reports/hardware/measured/qaa-0.json").write_text(json.dumps(found))
    output = project.run("dvc", "repro", "--single-item", "report", fails=True)
    assert "dvc repro --force measure@qaa-0" in output and "Traceback" not in output


def test_each_way_of_reading_has_its_shots_and_its_noise() -> None:
    asked = params.Hardware(methods=("qaa",), records=3, shots=(50, 10), depolarizing=0.01, readout=0.2, machine=None)
    ways = runpy.run_path(str(ROOT / "stages/measure.py"))["_ways"]
    ways.__globals__["noisy"] = lambda machine: f"a device of {machine}"
    noise, words = {"noise": Noise(depolarizing=0.01, readout=0.2)}, "depolarizing 0.01, read-out 0.2"
    noisy = [(words, shots, noise) for shots in (None, 50, 10)]
    assert list(ways(asked)) == [("", 50, {}), ("", 10, {}), *noisy]
    assert list(ways(replace(asked, depolarizing=0.0, readout=0.0, shots=()))) == []
    *_, last = ways(replace(asked, machine="FakeTorino"))
    assert last == ("FakeTorino", 50, {"device": "a device of FakeTorino"}), "a slow machine is read once, most shots"


def test_as_many_references_are_read_as_asked_for_whatever_prompts_are_too_long(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_folder, "data/model")
    examples = [Example(id=f"{i}", **record) for i, record in enumerate(records(6))]
    examples[:2] = [replace(example, instruction="x" * 400) for example in examples[:2]]
    files.write_rows(layout.split("test"), examples)
    given = tiny_params(tiny_folder, ["base"], [0])
    given["hardware"] |= {"methods": ["base"], "records": 2, "shots": [], "depolarizing": 0.0, "readout": 0.0}
    Path("params.yaml").write_text(yaml.safe_dump(given))
    run = layout.Run("base", 0)
    adapters.save(language_model.load(tiny_folder, "fp32", "cpu")[0], run.adapter, "base", {})
    runpy.run_path(str(ROOT / "stages/measure.py"))["measure"]("base", 0)
    assert files.read_json(run.measured, Measured).ids == ("2", "3")


def test_what_has_no_circuit_to_read_is_told(project: Project) -> None:
    output = project.run("dvc", "exp", "run", "-S", "hardware.methods=[base]", fails=True)
    assert "no circuit of this model runs on tokens" in output and "Traceback" not in output
    output = project.run("dvc", "exp", "run", "-S", "hardware.methods=[qtha]", "-S", "qaa.layers=2", fails=True)
    assert "hardware.methods: 'qtha' is not among methods" in output and "Traceback" not in output


def test_editing_a_method_reruns_its_branch(project: Project) -> None:
    source = project.folder / "src/ketune/methods/qaa.py"
    source.write_text(source.read_text() + "# a remark\n")
    assert {"tune@qaa", "train@qaa-0"} <= project.stages_run("dvc", "repro") <= branch("qaa") | {"tune@qaa"}
    source.write_text(source.read_text().removesuffix("# a remark\n"))
    assert project.stages_run("dvc", "repro") == set()


def test_a_new_seed_and_a_new_method_run_their_branches_only(project: Project) -> None:
    params = project.params()
    project.write_params(params | {"seeds": [0, 1]})
    assert project.stages_run("dvc", "repro") == {s for m in METHODS for s in branch(m, (1,))}
    project.write_params(params | {"methods": [*METHODS, "bias_only"]})
    assert project.stages_run("dvc", "repro") == branch("bias_only") | {"tune@bias_only"}
    assert (project.folder / "reports/metrics/bias_only.json").is_file()
    project.write_params(params)
    assert project.stages_run("dvc", "repro") <= {"report"}
    assert not (project.folder / "reports/metrics/bias_only.json").exists(), "the report has no ghosts"


def test_metrics_and_plots_read_as_tables(project: Project) -> None:
    shown = project.run("dvc", "metrics", "show", "--md")
    assert all(f"reports/metrics/{method}.json" in shown for method in METHODS)
    assert shown.count("\n") <= len(METHODS) + 3
    plots = project.run("dvc", "plots", "show", "-o", "plots_out")
    assert "failed to load" not in plots
    page = (project.folder / "plots_out/index.html").read_text()
    assert all(f'"method": "{method}"' in page for method in METHODS if method != "base")
    shutil.rmtree(project.folder / "plots_out")


BAD = {
    "missing file": (["data.source=data/no.jsonl"], "data/no.jsonl"),
    "unknown method": (["methods=[qaaa]", "+qaaa={}"], "src/ketune/methods/qaaa.py"),
    "a model that is not there": (["language_model.name=no/such", "language_model.revision=abc"], "cannot be loaded"),
    "a shell in a value": (["language_model.name='; touch planted'"], "must be pinned by a commit"),
    "a shell in a path": (["data.source='$(touch planted).jsonl'"], "$(touch planted).jsonl"),
    "a shell in another path": (["data.retention=\"'; touch planted; '\""], "touch planted"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_ends_with_one_sentence_and_leaves_nothing(project: Project, case: str) -> None:
    changes, words = BAD[case]
    settings = [part for change in changes for part in ("-S", change)]
    output = project.run("dvc", "exp", "run", *settings, fails=True)
    assert words in output and "Traceback" not in output
    assert not list(project.folder.rglob(".partial-*")) and not (project.folder / "planted").exists()


PLANTED = ["$(touch planted)", "0'; touch planted; '", "0\ntouch planted\n", {"$(touch planted)": 1}]


def test_no_value_reaches_a_shell(project: Project) -> None:
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    assert not [stage["cmd"] for stage in pipeline["stages"].values() if "$" in stage["cmd"]]
    method = PLANTED[0]
    (project.folder / f"src/ketune/methods/{method}.py").touch()
    project.write_params(project.params() | {method: {}, "methods": ["base", method], "seeds": PLANTED})
    output = project.run("dvc", "repro", "--keep-going", "train", fails=True)
    assert output.count("Running stage 'train@") == len(PLANTED) and "Traceback" not in output
    assert output.count("a method and a seed are expected") == len(PLANTED)
    assert f"Running stage 'tune@{method}'" in output  # what would train that method waits for it
    assert not (project.folder / "planted").exists()


def test_a_stage_finds_its_method_and_seed_from_another_folder(project: Project) -> None:
    project.run("sh", "-c", "cd data && dvc repro --force --single-item ../dvc.yaml:score@qaa-0")
    assert project.run("git", "status", "--porcelain") == ""


def test_an_experiment_in_a_temporary_workspace_finds_data_and_model(project: Project) -> None:
    output = project.run("dvc", "exp", "run", "--temp", "-S", "qaa.layers=2", "-n", "temporary")
    assert "Running stage 'train@qaa-0'" in output and "Running stage 'train@base-0'" not in output
    assert "temporary" in project.run("dvc", "exp", "show", "--csv", "--drop", ".*data.*")
    project.run("dvc", "exp", "remove", "temporary")


def test_the_lock_file_proves_itself_in_a_clone_without_data(project: Project, tmp_path: Path) -> None:
    clone = project.clone(tmp_path / "clone")
    assert clone.stages_run("dvc", "repro", "--allow-missing", "--dry") == set()
    assert "qaa" in clone.run("dvc", "metrics", "show")


def test_the_paper_setting_lists_its_stages_and_changes_nothing(project: Project) -> None:
    command = subprocess.run(["make", "--dry-run", "--no-print-directory", "paper", "ARGS=--dry --force"], cwd=ROOT,
                             capture_output=True, text=True, check=True).stdout.splitlines()[-1]  # fmt: skip
    listed = project.stages_run(*shlex.split(command))
    runs = [f"{method}-{seed}" for method in ("base", "full", "lora", "sora", "prefix", "qaa") for seed in range(8)]
    stages = {f"{stage}@{run}" for stage in ("train", "generate", "score") for run in runs}
    assert listed == stages | {f"tune@{run.partition('-')[0]}" for run in runs} | {"prepare", "report"}
    assert project.run("git", "status", "--porcelain") == ""
