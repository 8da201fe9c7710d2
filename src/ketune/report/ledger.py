"""The fairness ledger: what was equal for all methods, what differed, how learning rates were found, on which machine.

It reads params, the searches in reports/search, and what each run wrote about itself.
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ketune.ground import files, layout
from ketune.records import Machine
from ketune.report import cells
from ketune.report.cells import ABSENT, Cell, Table, number, numeral
from ketune.report.results import Results

FIXED = ("data", "language_model", "train", "generate", "score", "report")


def equal(results: Results) -> Table | None:
    """Every parameter that is the same for all methods."""
    rows = [
        {"Parameter": Cell(f"{block}.{key}"), "Value": Cell("none" if value is None else str(value))}
        for block in FIXED
        for key, value in asdict(getattr(results.settings, block)).items()
    ]
    return cells.table("ledger_equal", "The same for every method.", rows)


def differing(results: Results) -> Table | None:
    """Each method's own parameters, one column a parameter."""
    sections = results.settings.sections
    keys = list(dict.fromkeys(key for method in results.methods for key in sections[method]))
    keys.sort(key=lambda key: key != "learning_rates")
    rows = []
    for method in results.methods:
        own = {key.replace("_", " "): Cell(_shown(sections[method].get(key, ABSENT))) for key in keys}
        rows.append({"Method": Cell(results.title(method), method=method), **own})
    return cells.table("ledger_differing", "What differed: each method's own parameters.", rows)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    text = "none" if value is None else "yes" if value is True else "no" if value is False else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def first_rate(results: Results, method: str) -> float:
    """The learning rate that the search was for; a method's other rates keep their ratio to it."""
    return next(iter(results.settings.sections[method]["learning_rates"].values()))


def searches(results: Results) -> dict[str, dict[str, Any]]:
    """method → its learning-rate search, of those that were searched."""
    found = {}
    for method in results.methods:
        path = layout.REPORTS / "search" / f"{method}.json"
        if path.is_file():
            search = files.read_json(path, dict)
            if search["points"]:
                found[method] = search
    return found


def searched_elsewhere(results: Results) -> dict[str, list[str]]:
    """data and language model of a search → the methods that were searched there and not where they were run."""
    settings = results.settings
    here = (settings.data.hub or settings.data.source, settings.language_model.name)
    found: dict[str, list[str]] = {}
    for method, search in searches(results).items():
        there = (search["data"], search["language_model"])
        if there != here:
            found.setdefault(", ".join(there), []).append(method)
    return found


def search_table(results: Results) -> Table | None:
    """What each method's search tried and found, beside the learning rate that was used."""
    rows = []
    for method, search in searches(results).items():
        used = first_rate(results, method)
        points = search["points"]
        finite = [p["validation_loss"] for p in points if p["validation_loss"] is not None]
        lies = Cell("at the edge", mark="worse") if search["at_edge"] else Cell("inside")
        rows.append({
            "Method": Cell(results.title(method), method=method),
            "Tried": numeral(len(points), 0), "Steps each": numeral(search["steps"], 0),
            "From, to": Cell(f"{points[0]['learning_rate']:g} to {points[-1]['learning_rate']:g}"),
            "Best": Cell(ABSENT) if search["best"] is None else Cell(f"{search['best']:g}", search["best"]),
            "Used": Cell(f"{used:g}", used),
            "Validation loss": numeral(min(finite) if finite else None, 4), "Best lies": lies,
            "On": Cell(f"{search['data']}, {search['language_model']}"),
        })  # fmt: skip
    caption = (
        "The search for learning rates: the same grid, steps and seed for every method, chosen on validation loss."
    )
    return cells.table("ledger_search", caption, rows)


def machines(results: Results) -> list[tuple[Machine, list[str]]]:
    """(machine, keys of its runs), one for each machine that differs in anything."""
    found: list[tuple[Machine, list[str]]] = []
    for (method, seed), run in results.runs.items():
        keys = next((keys for machine, keys in found if machine == run.training.machine), None)
        if keys is None:
            found.append((run.training.machine, keys := []))
        keys.append(layout.Run(method, seed).key)
    return found


def machine_facts(machine: Machine) -> list[tuple[str, str]]:
    """A machine as (name, value), packages last."""
    facts = [
        ("processor", machine.processor),
        ("cores, threads", f"{machine.cores}, {machine.threads}"),
        ("memory", f"{number(machine.memory_bytes / 2**30, 1)} GiB"),
        ("accelerator", machine.accelerator or "none"),
        ("system", machine.system),
        ("python", machine.python),
    ]
    return facts + sorted(machine.packages.items())


def digests(results: Results) -> Table | None:
    """MD5 of all that this report was made from, as DVC computes it, so that each line is found in `dvc.lock`."""
    runs = [layout.Run(method, seed) for method, seed in results.runs]
    paths = [path for run in runs for path in (run.cost, run.curve, run.predictions, run.scores)]
    rows = [{"Path": Cell(str(path)), "MD5": Cell(digest(path))} for path in (layout.PREPARED, *paths)]
    return cells.table("digests", "Digests of what this report was made from, as they stand in dvc.lock.", rows)


def digest(path: Path) -> str:
    """DVC's hash: the file's MD5, or for a folder the MD5 of the list of its files, with the suffix .dir."""
    if path.is_file():
        return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    files = [file for file in path.rglob("*") if file.is_file()]
    entries = [{"md5": digest(file), "relpath": file.relative_to(path).as_posix()} for file in files]
    entries.sort(key=lambda entry: entry["relpath"])
    listing = json.dumps(entries, sort_keys=True)
    return f"{hashlib.md5(listing.encode(), usedforsecurity=False).hexdigest()}.dir"
