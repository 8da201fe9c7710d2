"""A study's records into git, and its page from them: `make records STUDY=name FROM=folder`, `make page STUDY=name`.

Records come from a workspace whose runs may still be under way: methods with all of their seeds, made with the params,
code and data that lie there, are taken, the others named. Methods and seeds that other workspaces brought before stay,
where runs compare. A file that holds a text of the data or of an answer is refused, and so are paths of the machine;
what lay there before stays until all is well. A page is made from records alone, so it is the same wherever it is made.
"""

from ketune.ground import process  # isort: skip  (threads are set before numpy is loaded)
import contextlib
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ketune import report, tuning
from ketune.ground import files, layout, params
from ketune.ground.errors import InputError
from ketune.ground.params import Params
from ketune.records.examples import Example, Passage
from ketune.records.predictions import Answer
from ketune.records.training import Tuning
from ketune.report import answer, archive, background, exports, gates, joining, opening, results
from ketune.report.background import Background
from ketune.report.drawing import Drawing

STUDIES, PAGES = layout.REPORTS / "studies", layout.REPORTS / "published"
SHORTEST = 24  # letters of a text that are looked for; shorter ones stand in other places by chance
LONGEST = 80
RUN = ("train", "generate", "score")  # the stages that make a run


def records(name: str, workspace: str = ".") -> None:
    """Copy what a workspace holds of a study into `reports/studies/<name>`."""
    target = study_folder(name).absolute()
    with contextlib.chdir(workspace):
        listed = params.load()
        there = [method for method in listed.methods if complete(listed, method)]
        stale = out_of_date(listed, there)
        kept = tuple(method for method in there if method not in stale)
        if not kept:
            why = f" ({', '.join(stale)}: made with other params, code or data)" if stale else ""
            raise InputError(
                f"{workspace}: no listed method has all of its seeds {listed.seeds} yet{why}; run `dvc repro`."
            )
        read_again = {m: (layout.Run(m, seed).measured for seed in listed.seeds) for m in listed.hardware.methods}
        measured = tuple(m for m, paths in read_again.items() if m in kept and all(path.exists() for path in paths))
        found = results.read(replace(listed, methods=kept, hardware=replace(listed.hardware, methods=measured)))
        beside = replace(background.read(found), revisions=dict.fromkeys(kept, revision()))
        written = Path("params.yaml").read_text(encoding="utf-8")
        settings, hidden = archive.shortened(written, found.settings), set(texts(found.settings))
        absent = [method for method in listed.methods if method not in kept]
        left_out = {m: results.tuning(m) if layout.tuned(m).exists() else None for m in absent}
    with files.replacing(target) as folder:
        archive.write(folder, found, beside, left_out, settings)
        hide_paths(folder, found.settings)
        refuse_texts(folder, hidden, found)
        before = joining.join(target, folder) if target.exists() else ()
    size = sum(file.stat().st_size for file in target.rglob("*"))
    print(f"{len(found.runs)} runs of {len(kept)} methods put into {STUDIES / name}, which has {size / 2**20:.2f} MiB.")
    stayed = dict.fromkeys(method for method, _ in before)
    if before:
        print(f"Kept from before: {len(before)} runs of {', '.join(stayed)}.")
    if unread := [method for method in listed.hardware.methods if method in kept and method not in measured]:
        print(f"Readings left out, as those of some seeds are missing: {', '.join(unread)}; run `dvc repro`.")
    if stale:
        print(f"Left out, as params, code or data are others than they ran with: {', '.join(stale)}; run `dvc repro`.")
    if missing := [method for method in left_out if method not in (*stayed, *stale)]:
        print(f"Left out, as runs of theirs are missing: {', '.join(missing)}.")


def rates() -> None:
    """Copy what this workspace's searches found of the listed methods into reports/tuned, and print the rates."""
    for method in params.load().methods:
        found = files.read_json(layout.tuned(method), Tuning)
        if found.search is not None:
            files.write_json(layout.recorded_tuning(method), found)
            print(f"{method}: {tuning.shown(found.rates)}")
    print("Write these rates into params.yaml, with tune.all: false.")


def page(name: str) -> None:
    """Render a study's page, figure and answer into reports/published, from `reports/studies/<name>` alone."""
    folder = study_folder(name)
    if not folder.is_dir():
        there = ", ".join(sorted(one.name for one in STUDIES.glob("[a-z0-9]*/")))
        raise InputError(f"STUDY: no study {name!r} in {STUDIES}; there are {there}.")
    found, beside = archive.read(folder)
    files.write_text(PAGES / f"{name}.html", rendered(folder, found, beside))
    told = answer.answer(found)
    if told.figure is not None:
        files.write_text(PAGES / f"{name}.svg", standing_alone(told.figure))
    files.write_text(PAGES / f"{name}.md", in_short(name, found, beside, told))
    print("\n".join(told.sentences), f"Open {PAGES / name}.html; {name}.md beside it is the answer in short.", sep="\n")


def pages() -> None:
    """Render the page of every study that git keeps."""
    for folder in sorted(STUDIES.glob("[a-z0-9]*/")):
        page(folder.name)


def rendered(folder: Path, found: results.Results, beside: Background) -> str:
    """The page of the records in a folder, given what `archive.read` makes of them."""
    paths = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    digest = exports.digest({path.relative_to(folder): path.read_bytes() for path in paths})
    return report.rendered(found, beside, digest)


def standing_alone(figure: Drawing) -> str:
    """A figure's SVG on white, as it is shown on pages of which nobody knows whether they are dark."""
    return figure.svg.replace("<svg ", '<svg style="background: white" ', 1)


def in_short(name: str, found: results.Results, beside: Background, told: answer.Answer) -> str:
    """A study's answer as Markdown: its sentences, the gates that fail, its figure, its tables."""
    looked = gates.gates(gates.Evidence(found, told.judgement, beside.plan, beside.planted))
    failed = [f"- {gate.name}: {gate.sentence}" for gate in looked if gate.passed is False]
    warning = ["Of what must hold before verdicts are worth reading, this fails:", "\n".join(failed)] if failed else []
    figure = [f"![What was found]({name}.svg)"] if told.figure is not None else []
    source = (
        f"Written by `make page STUDY={name}`; all else stands on [its page]({name}.html). How studies came about, and "
        "what was known when they were planned: [studies](../studies/README.md)."
    )
    said = (*told.sentences, *opening.unfinished(found, beside.left_out))
    return "\n\n".join([f"# The study {name}", *said, *warning, *figure, *told.tables, source]) + "\n"


def complete(settings: Params, method: str) -> bool:
    """Whether a method has left behind all that a report reads, for every seed."""
    runs = [layout.Run(method, seed) for seed in settings.seeds]
    paths = [path for run in runs for path in (run.cost, run.curve, run.scores, run.rows("answers"))]
    return all(path.exists() for path in (layout.tuned(method), *paths))


def out_of_date(settings: Params, complete_ones: Sequence[str]) -> list[str]:
    """The methods of which DVC says that a run was made with other params, code or data than the workspace has."""
    stages = {m: [f"tune@{m}", *(f"{stage}@{layout.Run(m, seed).key}" for stage in RUN for seed in settings.seeds)]
              for m in complete_ones}  # fmt: skip
    if not stages:
        return []  # asked about no stage, DVC tells of all
    asked = [stage for every in stages.values() for stage in every]
    told = process.said(sys.executable, "-m", "dvc", "--wait-for-lock", "status", "--json", *asked)
    return [method for method, every in stages.items() if not json.loads(told).keys().isdisjoint(every)]


def revision() -> str:
    """The commit that made the working folder's code what it is, with a mark where it was changed since.

    Later commits, of params or results, may lie in this folder alone; that one is where the code is.
    """
    commit = process.said("git", "log", "-1", "--format=%H", "--", *process.CODE).strip()
    changed = process.said("git", "status", "--porcelain", "--", *process.CODE)
    return f"{commit} with changes" if changed else commit


def texts(settings: Params) -> Iterator[str]:
    """Every text that must not get into git: of the test records, of neutral passages, of answers."""
    for example in files.read_rows(layout.split("test"), Example):
        yield from (example.instruction, example.input, example.output)
    yield from (passage.text for passage in files.read_rows(layout.RETENTION, Passage))
    for run in settings.runs:
        yield from (answer.prediction for answer in files.read_rows(layout.Run(*run).rows("answers"), Answer))


def hide_paths(folder: Path, settings: Params) -> None:
    """Leave the last name alone of each path that leads out of the project."""
    given = (settings.data.source, settings.data.retention, settings.language_model.name)
    outside = [path for path in given if Path(path).is_absolute() or ".." in Path(path).parts]
    for file in (file for file in folder.rglob("*") if outside and file.suffix in (".json", ".yaml")):
        content = file.read_text(encoding="utf-8")
        for path in outside:
            content = content.replace(path, Path(path).name)
        files.write_text(file, content)


def refuse_texts(folder: Path, hidden: set[str], found: results.Results) -> None:
    """Look whether ids are hashes, and whether any text stands in a file.

    Raises:
        InputError: an id is no hash, or a text was found.
    """
    for ids in next(iter(found.runs.values())).scores.ids.values():
        if named := [identity for identity in ids if not re.fullmatch("[0-9a-f]{16}", identity)]:
            raise InputError(f"{named[0]!r} is no id of this pipeline, 16 hexadecimal digits; run `dvc repro` again.")
    pieces = {line.strip()[:LONGEST] for text in hidden for line in text.splitlines()}
    sought = {form for piece in pieces if len(piece) >= SHORTEST for form in _forms(piece)}
    for file in (file for file in folder.rglob("*") if file.is_file() and file.name != "params.yaml"):
        content = file.read_text(encoding="utf-8")
        for piece in sought:
            if piece in content:
                raise InputError(f"{file.name}: a text of the data stands in it ({piece!r}); nothing was written.")


def _forms(piece: str) -> tuple[str, ...]:
    """A text as it is, and as JSON writes it, with and without letters beyond ASCII."""
    return piece, json.dumps(piece)[1:-1], json.dumps(piece, ensure_ascii=False)[1:-1]


def study_folder(name: str) -> Path:
    """Where the records of the study `name` lie."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise InputError(f"STUDY: {name!r} is not allowed; use small letters, digits, - and _, as in STUDY=alpaca.")
    return STUDIES / name


TASKS: dict[str, Callable[..., None]] = {"records": records, "page": page, "pages": pages, "rates": rates}


def main(task: str, *arguments: str) -> None:
    """Run one of the tasks that the Makefile offers."""
    TASKS[task](*arguments)


def asked(arguments: list[str]) -> tuple[str, ...]:
    """A task and what it takes.

    Raises:
        InputError: there is no such task, or it takes other arguments.
    """
    task, *rest = arguments or [""]
    try:
        inspect.signature(TASKS[task]).bind(*rest)
    except (KeyError, TypeError):
        allowed = "`records NAME [WORKSPACE]`, `page NAME`, `pages` and `rates`"
        raise InputError(f"{' '.join(arguments)!r}: allowed are {allowed}.") from None
    return (task, *rest)


if __name__ == "__main__":
    process.run(main, asked)
