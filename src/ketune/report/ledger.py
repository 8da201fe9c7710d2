"""The fairness ledger: what was equal for all methods, what differed, how learning rates were found, on which machine.

It reads params, the searches that `make search` left, and what each run wrote about itself.
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ketune import layout, records
from ketune.report.cells import ABSENT, Cell, Table, number, numeral
from ketune.report.results import Results

FIXED = ("data", "language_model", "train", "generate", "score", "report")


def equal(results: Results) -> Table:
    """Every parameter that is the same for all methods."""
    rows = [
        (Cell(f"{block}.{key}"), Cell("none" if value is None else str(value)))
        for block in FIXED
        for key, value in asdict(getattr(results.settings, block)).items()
    ]
    return Table("ledger_equal", "The same for every method.", ("Parameter", "Value"), tuple(rows))


def differing(results: Results) -> Table:
    """Each method's own parameters, one column a parameter."""
    sections = results.settings.sections
    keys = list(dict.fromkeys(key for method in results.methods for key in sections[method]))
    keys.sort(key=lambda key: key != "learning_rate")
    rows = []
    for method in results.methods:
        cells = [Cell(_shown(sections[method].get(key, ABSENT))) for key in keys]
        rows.append((Cell(results.title(method), method=method), *cells))
    caption = "What differed: each method's own parameters."
    return Table("ledger_differing", caption, ("Method", *(key.replace("_", " ") for key in keys)), tuple(rows))


def _shown(value: Any) -> str:
    text = "none" if value is None else "yes" if value is True else "no" if value is False else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def searches(results: Results) -> dict[str, dict[str, Any]]:
    """method → its learning-rate search, of those that were searched."""
    found = {}
    for method in results.methods:
        path = layout.search(method)
        if path.is_file():
            search = records.read_json(path)
            if search["points"]:
                found[method] = search
    return found


def search_table(results: Results) -> Table | None:
    """What each method's search tried and found, beside the learning rate that was used."""
    rows = []
    for method, search in searches(results).items():
        used = results.settings.sections[method].get("learning_rate")
        finite = [p["validation_loss"] for p in search["points"] if p["validation_loss"] is not None]
        rows.append((
            Cell(results.title(method), method=method), numeral(len(search["points"]), 0), numeral(search["steps"], 0),
            Cell(f"{search['points'][0]['learning_rate']:g} to {search['points'][-1]['learning_rate']:g}"),
            Cell(ABSENT) if search["best"] is None else Cell(f"{search['best']:g}", search["best"]),
            Cell(f"{used:g}", used), numeral(min(finite) if finite else None, 4),
            Cell("at the edge" if search["at_edge"] else "inside", mark="worse" if search["at_edge"] else ""),
        ))  # fmt: skip
    columns = ("Method", "Tried", "Steps each", "From, to", "Best", "Used", "Validation loss", "Best lies")
    caption = (
        "The search for learning rates: the same grid, steps and seed for every method, chosen on validation loss."
    )
    return Table("ledger_search", caption, columns, tuple(rows)) if rows else None


def machines(results: Results) -> list[tuple[dict[str, Any], list[str]]]:
    """(machine, keys of its runs), one for each machine that differs in anything."""
    found: dict[str, tuple[dict[str, Any], list[str]]] = {}
    for (method, seed), run in results.runs.items():
        fingerprint = json.dumps(run.cost["machine"], sort_keys=True)
        found.setdefault(fingerprint, (run.cost["machine"], []))[1].append(layout.Run(method, seed).key)
    return list(found.values())


def machine_facts(machine: dict[str, Any]) -> list[tuple[str, str]]:
    """A machine as (name, value), packages last."""
    facts = [
        ("processor", machine["processor"]),
        ("cores, threads", f"{machine['cores']}, {machine['threads']}"),
        ("memory", f"{number(machine['memory_bytes'] / 2**30, 1)} GiB"),
        ("accelerator", machine["accelerator"] or "none"),
        ("system", machine["system"]),
        ("python", machine["python"]),
    ]
    return facts + sorted(machine["packages"].items())


def digests(results: Results) -> Table:
    """MD5 of all that this report was made from, as DVC computes it, so that each line is found in `dvc.lock`."""
    rows = [(Cell(str(layout.PREPARED)), Cell(digest(layout.PREPARED)))]
    for method, seed in results.runs:
        run = layout.Run(method, seed)
        rows += [(Cell(str(path)), Cell(digest(path))) for path in (run.cost, run.curve, run.predictions, run.scores)]
    caption = "Digests of what this report was made from, as they stand in dvc.lock."
    return Table("digests", caption, ("Path", "MD5"), tuple(rows))


def digest(path: Path) -> str:
    """DVC's hash: the file's MD5, or for a folder the MD5 of the list of its files, with the suffix .dir."""
    if path.is_file():
        return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    files = [file for file in path.rglob("*") if file.is_file()]
    entries = [{"md5": digest(file), "relpath": file.relative_to(path).as_posix()} for file in files]
    entries.sort(key=lambda entry: entry["relpath"])
    listing = json.dumps(entries, sort_keys=True)
    return f"{hashlib.md5(listing.encode(), usedforsecurity=False).hexdigest()}.dir"
