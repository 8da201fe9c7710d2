"""The records of a study as git keeps them, a folder of small text files from which its page is made again.

Kept:
- `study.json`: the commit of the code that ran each method, the methods that were listed and left out, ids of the
  rows, what kind of text each reference is, how each metric was computed, counts of the preparation, digests of all
  that was left out.
- `params.yaml`: the params of the runs that are kept. `plan.json`: the plan, where there was one.
- `tuned/`: the rates of each method with every trial of their search, those of methods that were left out as well.
- `planted/`: the planted studies of that time. `hardware/`: what the methods' circuits cost on machines,
  and what they give there.
- `runs.json`: of each run what it says of itself: parameters, cost, machine and versions, card, how far parts moved.
- `curves.csv`: training loss, a row for each step, a column for each run.
- `scores/<metric>.csv`: a row for each id, a column for each run; a cell holds the numbers that add up over rows and
  from whose totals the score follows, separated by spaces. What is the same in all runs stands once, in the column
  `shared`, with a `_` for each of the others. So a cell of the loss is nats, and `_ 30` beside it says: of 30 tokens.
- `endings.csv`: whether each answer ended by itself or was cut, and whether it is empty.

Not kept: texts of the data (instructions, inputs, references, neutral passages), answers, adapters, norms of gradients,
and the samples of a page. Ids are hashes. Numbers of scores and curves have nine significant digits.
"""

import io
import json
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

from ketune import metrics
from ketune.ground import files, params
from ketune.ground.errors import InputError
from ketune.ground.layout import Run
from ketune.ground.params import Params
from ketune.records.preparation import Preparation
from ketune.records.scores import MetricScore, RunScores
from ketune.records.training import TrainingRecord, Tuning
from ketune.report import calibration, hardware, plan, results, shots
from ketune.report.background import Background
from ketune.report.results import Results, RunResult
from ketune.report.texts import Ending, Reference

ENDINGS = {(True, False): "ended", (True, True): "ended empty", (False, False): "cut", (False, True): "cut empty"}
ENDED = {word: Ending(finished=finished, empty=empty) for (finished, empty), word in ENDINGS.items()}
SHARED, OWN = "shared", "_"
Columns = Mapping[str, list[str]]
Sums = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, kw_only=True)
class About:
    """What `study.json` holds.

    Attributes:
        left_out: methods that the study lists and whose runs were not complete.
        revisions: method → commit of the code that ran it, or the commits, where its seeds came one after another.
        signatures: metric → how it was computed.
    """

    revisions: dict[str, str]
    left_out: tuple[str, ...]
    ids: dict[str, tuple[str, ...]]
    references: tuple[Reference, ...]
    signatures: dict[str, str]
    preparation: Preparation
    digests: dict[str, str]


def write(
    folder: Path, found: Results, beside: Background, left_out: Mapping[str, Tuning | None], settings: str
) -> None:
    """Write the records of a study.

    Args:
        left_out: method whose runs are not complete → its rates, where they are known by now.
        settings: the content of params.yaml.
    """
    runs = {Run(*key).key: run for key, run in found.runs.items()}
    first = next(iter(runs.values())).scores
    about = About(
        revisions=dict(beside.revisions),
        left_out=tuple(left_out),
        ids=first.ids,
        references=found.references,
        signatures={key: metric.signature for key, metric in first.metrics.items()},
        preparation=found.summary,
        digests=dict(beside.digests),
    )
    files.write_json(folder / "study.json", about)
    files.write_text(folder / "params.yaml", settings)
    files.write_text(folder / "runs.json", _lines({key: asdict(run.training) for key, run in runs.items()}))
    trained = {key: run.curve["loss"] for key, run in runs.items() if len(run.curve)}
    steps = next(iter(trained.values())).index if trained else []
    _write_table(folder / "curves.csv", "step", steps, {key: list(map(_number, v)) for key, v in trained.items()})
    for metric in found.metrics:
        cells = _packed({key: run.scores.metrics[metric.key].sums for key, run in runs.items()})
        _write_table(folder / f"scores/{metric.key}.csv", "id", first.ids[metric.reads], cells)
    endings = {key: [ENDINGS[one.finished, one.empty] for one in run.endings] for key, run in runs.items()}
    _write_table(folder / "endings.csv", "id", first.ids["answers"], endings)
    for method, tuning in {**found.tunings, **left_out}.items():
        if tuning is not None:
            files.write_json(folder / f"tuned/{method}.json", tuning)
    for study in beside.planted:
        files.write_json(folder / f"planted/{study.name}.json", study)
    for method, record in beside.bills.items():
        if method in found.methods:
            files.write_json(folder / f"hardware/{method}.json", record)
    for key, readings in beside.measured.items():
        files.write_json(folder / f"hardware/measured/{Run(*key).key}.json", readings)
    if beside.plan is not None:
        files.write_json(folder / "plan.json", beside.plan)


def read(folder: Path) -> tuple[Results, Background]:
    """What `write` wrote.

    Raises:
        InputError: a file is missing or damaged, or runs do not compare.
    """
    settings = params.load(folder / "params.yaml")
    about = files.read_json(folder / "study.json", About)
    names = {key: Run(*key).key for key in settings.runs}
    trained = files.read_json(folder / "runs.json", dict[str, TrainingRecord])
    curves, endings = _read_table(folder / "curves.csv"), _read_table(folder / "endings.csv")
    _check(folder / "runs.json", trained, names.values())
    _check(folder / "endings.csv", endings, names.values(), endings.index, about.ids["answers"])
    learnt = [name for name in names.values() if trained[name].parameters.trainable]
    _check(folder / "curves.csv", curves, learnt)
    scores = _read_scores(folder, about, names.values())
    try:
        runs = {
            key: RunResult(
                training=trained[name],
                curve=_curve(curves, name),
                scores=scores[name],
                endings=tuple(ENDED[word] for word in endings[name]),
            )
            for key, name in names.items()
        }
    except (KeyError, ValueError) as error:
        raise InputError(f"{folder}: a curve or an ending is damaged ({error}); run `make records` again.") from error
    results.check(runs)
    tunings = {method: files.read_json(folder / f"tuned/{method}.json", Tuning) for method in settings.methods}
    beside = Background(
        plan=plan.read(folder / "plan.json"),
        planted=tuple(calibration.read(folder / "planted")),
        bills=hardware.read(folder / "hardware"),
        measured=shots.read(settings, folder / "hardware/measured"),
        digests=about.digests,
        left_out=about.left_out,
        revisions=about.revisions,
    )
    return Results(settings, runs, tunings, about.preparation, about.references), beside


def shortened(content: str, settings: Params) -> str:
    """A params.yaml with the methods and seeds of these params alone, the methods' sections, and without samples."""
    yaml = YAML()
    yaml.width = 120
    changed = yaml.load(content)
    changed["methods"], changed["report"]["show_samples"] = list(settings.methods), False
    changed["seeds"] = list(settings.seeds)
    for key, value in asdict(settings.hardware).items():
        changed["hardware"][key] = list(value) if isinstance(value, tuple) else value
    for method in settings.methods:
        if changed.get(method) != settings.sections[method]:  # an equal one keeps its comments
            changed.insert(0, method, settings.sections[method])
    written = io.StringIO()
    yaml.dump(changed, written)
    return written.getvalue()


def _check(
    path: Path, there: Container[str], names: Iterable[str], rows: Iterable[str] = (), ids: Sequence[str] = ()
) -> None:
    """Refuse a file without some of the runs, or with other rows."""
    if tuple(rows) != tuple(ids) or not all(name in there for name in names):
        raise InputError(f"{path}: other rows or runs than study.json and params.yaml name; run `make records` again.")


def _read_scores(folder: Path, about: About, names: Iterable[str]) -> dict[str, RunScores]:
    """Run → its scores, computed again from the sums."""
    found: dict[str, dict[str, MetricScore]] = {name: {} for name in names}
    for metric in (one for one in metrics.every() if one.key in about.signatures):
        path = folder / f"scores/{metric.key}.csv"
        cells = _read_table(path)
        _check(path, cells, (SHARED, *found), cells.index, about.ids[metric.reads])
        for name in found:
            try:
                sums = np.array(_unpacked(cells[SHARED], cells[name]), dtype=float)
            except (StopIteration, ValueError) as error:
                raise InputError(f"{path}: a cell of {name} is damaged; run `make records` again.") from error
            found[name][metric.key] = MetricScore(
                score=float(metric.total(sums.sum(axis=0))),
                signature=about.signatures[metric.key],
                sums=tuple(map(tuple, sums.tolist())),
            )
    return {name: RunScores(ids=about.ids, metrics=scores) for name, scores in found.items()}


def _curve(curves: pd.DataFrame, run: str) -> pd.DataFrame:
    losses = list(curves.get(run, []))
    return pd.DataFrame({"loss": losses}, index=curves.index[: len(losses)].astype(int), dtype=float)


def _number(value: float) -> str:
    return f"{value:.9g}"


def _packed(sums: Mapping[str, Sums]) -> Columns:
    """Run → sums (P, K) of its rows, as cells: what all runs share, then what is each run's own."""
    table = np.array(list(sums.values()))  # (R, P, K)
    own = (table != table[0]).any(axis=(0, 1)) if len(table) > 1 else np.full(table.shape[2], True)
    shared = [[OWN if mine else _number(value) for mine, value in zip(own, row, strict=True)] for row in table[0]]
    cells = {run: [" ".join(map(_number, row[own])) for row in rows] for run, rows in zip(sums, table, strict=True)}
    return {SHARED: list(map(" ".join, shared)), **cells}


def _unpacked(shared: Iterable[str], cells: Iterable[str]) -> list[list[str]]:
    """The numbers of each row, those of a cell in the places that are marked as its own."""
    found = []
    for template, cell in zip(shared, cells, strict=True):
        own = iter(cell.split())
        found.append([next(own) if number == OWN else number for number in template.split()])
    return found


def _lines(rows: Mapping[str, object]) -> str:
    """JSON with a line for each entry: short, and a changed run is a changed line."""
    lines = (f"{json.dumps(key)}:{json.dumps(row, sort_keys=True, separators=(',', ':'))}" for key, row in rows.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _write_table(path: Path, heading: str, index: object, columns: Columns) -> None:
    frame = pd.DataFrame(columns, index=pd.Index(index, name=heading))
    files.write_text(path, frame.to_csv(lineterminator="\n"))


def _read_table(path: Path) -> pd.DataFrame:
    """What `_write_table` wrote; all cells, and the names of the rows, are text."""
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, index_col=0)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run `make records` again.") from None
    except ValueError as error:  # of pandas: an empty file, or rows that are not of one length
        raise InputError(f"{path}: damaged ({error}); run `make records` again.") from error
