"""Which stages rerun when a file changes: the table of CONTRIBUTING.md, printed by `python -m tests.reruns`.

It is read off `dvc.yaml`, whose dependencies `tests/test_house.py` holds against the imports of each stage.
"""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
METHOD = "src/ketune/methods/<method>.py"


def stages() -> dict[str, list[str]]:
    """Stage → the files and folders of code that it depends on, as `dvc.yaml` writes them."""
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    code = ("src/", "stages/")
    return {name: [dep for dep in stage["deps"] if dep.startswith(code)] for name, stage in pipeline.items()}


def reruns(file: str) -> list[str]:
    """The stages that depend on `file` (a path from the project's root), in the order of `dvc.yaml`.

    A method's file belongs to the stages of that method alone, written `train@<method>`.
    """
    found = []
    for stage, deps in stages().items():
        for dep in deps:
            method = dep.replace("${item.method}", Path(file).stem)
            if file == dep or file.startswith(f"{dep}/"):
                found.append(stage)
                break
            if method != dep and file == method and not Path(file).stem.startswith("_"):
                found.append(f"{stage}@<method>")
                break
    return found


def files() -> list[str]:
    """Every file of the package and every stage's script, from the project's root."""
    paths = [path for folder in ("src/ketune", "stages") for path in sorted((ROOT / folder).rglob("*"))]
    kept = [path for path in paths if path.suffix in (".py", ".css", ".js", ".j2") and "__pycache__" not in path.parts]
    return [str(path.relative_to(ROOT)) for path in kept]


def table() -> str:
    """The table as Markdown: files that rerun the same stages share a row; a room whose files all do is one entry."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for file in files():
        found = rows.setdefault(tuple(reruns(file)), [])
        shown = METHOD if Path(file).parent.name == "methods" and Path(file).stem != "__init__" else file
        found.extend([] if shown in found else [shown])
    lines = ["| edit | these stages run |", "|---|---|"]
    for names, members in rows.items():
        runs = ", ".join(f"`{name}`" for name in names) or "none"
        lines.append(f"| {', '.join(f'`{entry}`' for entry in _rooms(members))} | {runs} |")
    return "\n".join(lines) + "\n"


def _rooms(members: list[str]) -> list[str]:
    """`members` with each folder whose files are all among them written as the folder."""
    every, entries = files(), list(members)
    for folder in sorted({str(Path(file).parent) for file in members}, key=len):
        inside = {file for file in every if file.startswith(f"{folder}/")}
        if len(inside) > 1 and inside <= set(entries):
            entries = [entry for entry in entries if entry not in inside] + [f"{folder}/"]
    return sorted(entry.removeprefix("src/ketune/") for entry in entries)


if __name__ == "__main__":
    print(table(), end="")
