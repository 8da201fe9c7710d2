"""A trained adapter as a folder to give away: `make share RUN=qaa-0 TO=folder`.

The page beside it gains what only the finished study knows: its data, held-out losses with their interval, and the
verdict on the method. Weights are copied as they are; the configuration names a base model of the hub in place of the
pipeline's own folder, so that others can load it.
"""

from ketune.ground import process  # isort: skip  (threads are set before numpy is loaded)
import json
import shutil
from pathlib import Path

from ketune.ground import files, layout, params
from ketune.ground.errors import InputError
from ketune.ground.params import LanguageModel
from ketune.report import comparisons, opening, panels, paper, results
from ketune.report.cells import counted, interval
from ketune.report.results import Results

# Of the page that ketune.tuners.model_card writes, where the pipeline's own folder is no name of a model.
UNNAMED, LAST_ROW = "| base model | not named |\n", "| written by |"


def share(key: str, target: str) -> None:
    """Copy the adapter of the run `key` to `target`, its page completed.

    Raises:
        InputError: there is no such run, it trained nothing, its page is not ketune's, or `target` exists already.
    """
    settings = params.load()
    runs = [run for run in (layout.Run(*pair) for pair in settings.runs) if (run.adapter / "README.md").exists()]
    chosen = next((run for run in runs if run.key == key), None)
    if chosen is None:
        there = ", ".join(run.key for run in runs) or "none yet; run `dvc repro`"
        raise InputError(f"RUN: {key!r} is no run with an adapter; there are {there}.")
    if not target or Path(target).exists():
        raise InputError(f"TO: {target!r} is no new folder; name one that does not exist yet.")
    rows = "".join(f"| {name} | {value} |\n" for name, value in facts(results.read(settings), chosen.method).items())
    with files.replacing(Path(target).absolute()) as folder:
        shutil.copytree(chosen.adapter, folder)
        page = (folder / "README.md").read_text(encoding="utf-8")
        if any(row not in page for row in (UNNAMED, LAST_ROW)):
            raise InputError(f"{chosen.adapter}/README.md is no page of ketune's; run `dvc repro` again.")
        base = Path(settings.language_model.name)
        page = page.replace(UNNAMED, f"| base model | {base.name if base.exists() else base} |\n", 1)
        files.write_text(folder / "README.md", page.replace(LAST_ROW, rows + LAST_ROW, 1))
        if settings.language_model.revision is not None:
            _name_base(folder / "adapter_config.json", settings.language_model)
    print(f"{target}: the adapter of {key}; its README.md says how it was trained, what it reached and how to load it.")


def _name_base(path: Path, model: LanguageModel) -> None:
    config = json.loads(path.read_text(encoding="utf-8"))
    config |= {"base_model_name_or_path": model.name, "revision": model.revision}
    files.write_text(path, json.dumps(config, indent=2, sort_keys=True))  # as peft writes it


def facts(found: Results, method: str) -> dict[str, str]:
    """What a finished study says of a method, by name: data, losses, verdicts."""
    judgement = comparisons.judge(found)
    low, high = panels.intervals(found, judgement.panels).loc[(method, "loss"), ["low", "high"]]
    level = f"{100 * found.settings.report.confidence:g} %"
    seeds = counted(len(found.settings.seeds), "seed")
    said = {
        "data": paper.data_name(found.settings),
        "held-out loss": f"{found.mean(method, 'loss'):.3f} nats a token, mean of {seeds} over "
        f"{len(found.references)} references, {level} interval {interval(low, high, 3)}",
    }
    if "base" in found.methods and method != "base":
        said["held-out loss of the base model"] = f"{found.mean('base', 'loss'):.3f} nats a token"
    if words := " ".join(statement.text for statement in opening.on(found, judgement, method)):
        said["verdict"] = words
    return said


def _asked(arguments: list[str]) -> tuple[str, str]:
    if len(arguments) != 2:
        raise InputError(f"{' '.join(arguments)!r}: a run and a folder are expected, as in `qaa-0 folder`.")
    return arguments[0], arguments[1]


if __name__ == "__main__":
    process.run(share, _asked)
