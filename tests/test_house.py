"""The house keeps its floors, and `dvc.yaml` names every file that a stage imports."""

import ast
import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ketune import methods
from ketune.ground import layout, params

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
# From the roof down. A module may import from its own floor and from lower ones; methods never import each other.
FLOORS = [
    {"ketune.check", "ketune.planted_study"},
    {"ketune.report"},
    {"ketune.trials", "ketune.bill", "ketune.planted", "ketune.requeue"},
    {"ketune.training.loop", "ketune.generation", "ketune.likelihood", "ketune.counts"},
    {"ketune.decoding"},
    {"ketune.training", "ketune.adapters"},
    {"ketune.methods"},
    {"ketune.tuners"},
    {"ketune.circuits"},
    {"ketune.language_model", "ketune.weights"},
    {"ketune.tokens", "ketune.corpus"},
    {"ketune.sources"},
    {"ketune.statistics", "ketune.tuning"},
    {"ketune.movement"},
    {"ketune.metrics"},
    {"ketune.records"},
    {"ketune.ground.params", "ketune.ground.layout", "ketune.ground.files", "ketune.ground.process"},
    {"ketune.ground", "ketune.waiting", "ketune.closed_forms", "ketune.published"},
]
WITHOUT_TORCH = (
    "ketune.closed_forms", "ketune.ground", "ketune.records", "ketune.metrics", "ketune.methods", "ketune.movement",
    "ketune.published", "ketune.report", "ketune.statistics", "ketune.tuning",
)  # fmt: skip
FORBIDDEN_NAMES = {"utils.py", "helpers.py", "common.py", "misc.py", "core.py"}


def modules() -> dict[str, Path]:
    """Qualified name → file, for every module of the package."""
    found = {}
    for file in sorted(SOURCE.rglob("*.py")):
        parts = file.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


MODULES = modules()


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """The node and all in it, but nothing that only a type checker sees."""
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from statements(child)


@functools.cache
def imports(file: Path) -> set[str]:
    """Every module that a file imports, anywhere in it; `from ketune import x` counts as ketune.x."""
    found = set()
    for node in statements(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, f"{file}: import by whole names, which is what is followed here"
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in whole}
    return found


def own(file: Path) -> set[str]:
    return {name for name in imports(file) if name in MODULES and name != "ketune"}


def floor(module: str) -> int:
    for number, rooms in enumerate(FLOORS):
        if any(module == room or module.startswith(room + ".") for room in rooms):
            return number
    raise AssertionError(f"{module} stands on no floor: give it one in {Path(__file__).name}")


@pytest.mark.parametrize("module", [m for m in MODULES if m != "ketune"])
def test_imports_run_downwards(module: str) -> None:
    for imported in own(MODULES[module]):
        assert floor(imported) >= floor(module), f"{module} imports {imported}, which stands higher"


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("ketune.methods.")])
def test_methods_do_not_see_each_other(module: str) -> None:
    others = {name for name in own(MODULES[module]) if name.startswith("ketune.methods.")} - {module}
    assert not others


def test_only_the_circuits_import_pennylane() -> None:
    importers = {m for m in MODULES if any(name.split(".")[0] == "pennylane" for name in imports(MODULES[m]))}
    assert all(m.startswith("ketune.circuits") for m in importers)
    assert importers, "the walk sees no import of pennylane, so it proves nothing"


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith(WITHOUT_TORCH)])
def test_reports_need_no_torch(module: str) -> None:
    heavy = {"torch", "transformers", "peft", "datasets", "pennylane"}
    assert not {name.split(".")[0] for name in imports(MODULES[module])} & heavy


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith(("ketune.training", "ketune.trials"))])
def test_training_knows_no_circuit(module: str) -> None:
    assert not [name for name in own(MODULES[module]) if name.startswith("ketune.circuits")]


def test_nothing_imports_dvc_and_no_file_hides_behind_its_name() -> None:
    assert not [m for m in MODULES if any(name.split(".")[0] == "dvc" for name in imports(MODULES[m]))]
    assert not [file for file in MODULES.values() if file.name in FORBIDDEN_NAMES]


def closure(files: list[Path]) -> set[Path]:
    """The files of the package that `files` import, directly or through one another."""
    seen: set[Path] = set()
    waiting = list(files)
    while waiting:
        for name in own(waiting.pop()):
            packages = [".".join(name.split(".")[:i]) for i in range(2, len(name.split(".")) + 1)]
            for file in {MODULES[package] for package in packages} - seen:
                seen.add(file)
                waiting.append(file)
    return seen


PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
METHODS = sorted(m.rpartition(".")[2] for m in MODULES if m.startswith("ketune.methods."))


# Those of the ground decide whether and where a stage runs, how it refuses, and what follows from values of params.yaml
# at once (1 - confidence, the second seed of a search, a comparison's words): DVC hashes the values, and the paths that
# they name stand in dvc.yaml as well. Two packages hold only a docstring. A changed word in any of them reruns nothing.
INERT = {
    f"ketune.ground.{name}"
    for name in ("checks", "contrasts", "declarations", "errors", "faults", "layout", "params", "process")
} | {"ketune.ground", "ketune.records"}


@pytest.mark.parametrize("package", [name for name in sorted(INERT) if MODULES[name].name == "__init__.py"])
def test_a_package_that_no_stage_depends_on_does_nothing(package: str) -> None:
    [statement] = ast.parse(MODULES[package].read_text()).body
    assert isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


@pytest.mark.parametrize("stage", PIPELINE)
def test_no_stage_reruns_for_words_paths_or_for_what_another_stage_imports(stage: str) -> None:
    files = [ROOT / "stages" / f"{stage}.py"]
    if "src/ketune/methods/__init__.py" in PIPELINE[stage]["deps"]:  # it imports a method and its adapter by name
        files += [file for name, file in MODULES.items() if name.startswith(("ketune.methods.", "ketune.tuners."))]
    needed = closure(files) | set(files)
    declared = [ROOT / dep for dep in PIPELINE[stage]["deps"] if dep.startswith(("src/", "stages/")) and "$" not in dep]
    for dep in declared:
        assert any(file == dep or dep in file.parents for file in needed), f"dvc.yaml, {stage}: {dep} is not imported"
        assert not [name for name in INERT if MODULES[name] == dep or dep in MODULES[name].parents], dep


BY_METHOD = ("tune", "train", "generate", "measure")  # stages that import a method's own files, by its name


@pytest.mark.parametrize(
    ("stage", "method"), [(stage, name) for stage in PIPELINE for name in (METHODS if stage in BY_METHOD else ["base"])]
)
def test_dvc_knows_every_file_that_a_stage_imports(stage: str, method: str) -> None:
    declared = [ROOT / dep.replace("${item.method}", method) for dep in PIPELINE[stage]["deps"] if "${data" not in dep]
    script = ROOT / "stages" / f"{stage}.py"
    files = [script]
    if stage in BY_METHOD:
        files += [MODULES[f"ketune.methods.{method}"], MODULES[f"ketune.tuners.{methods.declared(method).adapter}"]]
    needed = (closure(files) | set(files)) - {MODULES[name] for name in INERT}
    missing = [f for f in needed if not any(f == d or d in f.parents for d in declared)]
    assert not missing, f"dvc.yaml, stage {stage}: add {sorted(str(f.relative_to(ROOT)) for f in missing)}"


def test_a_checkpoint_is_keyed_by_what_dvc_reruns_training_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = layout.dependencies("train", "qaa")
    assert Path("src/ketune/methods/qaa.py") in found and Path("data/prepared") in found
    assert not [path for path in found if "$" in str(path)]


def test_training_runs_again_for_every_setting_of_it_but_how_often_checkpoints_are_saved() -> None:
    named = {param for param in PIPELINE["train"]["params"] if param.startswith("train.")}
    assert named == {f"train.{field.name}" for field in dataclasses.fields(params.Train)} - {"train.checkpoint_every"}


def test_every_declared_dependency_exists() -> None:
    for stage in PIPELINE.values():
        for dep in stage["deps"]:
            if dep.startswith(("src/", "stages/")) and "${" not in dep:
                assert (ROOT / dep).exists(), dep


def test_every_listed_method_has_its_file_and_section() -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert set(params["methods"]) <= set(METHODS)
    assert set(METHODS) <= set(params), "a method without a section in params.yaml cannot be run by name"


@pytest.mark.parametrize("module", MODULES)
def test_files_stay_short(module: str) -> None:
    lines = MODULES[module].read_text().count("\n")
    assert lines <= 250, f"{module} has {lines} lines; split it along its sentence"
