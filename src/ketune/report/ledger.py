"""The fairness ledger: what was equal for all methods, what differed, and on which machine.

It reads params and what each run wrote about itself.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ketune import methods
from ketune.ground import layout
from ketune.ground.errors import InputError
from ketune.ground.params import BLOCKS
from ketune.records.training import Machine
from ketune.report import cells
from ketune.report.cells import ABSENT, Cell, Table, number
from ketune.report.results import Results

EQUAL = (
    "The same for every method. Beside these: AdamW with β = (0.9, 0.999), loss over response tokens alone, Alpaca's "
    "prompt template; LoRA and SoRA at the query and value projections."
)


def equal(results: Results) -> Table | None:
    """Every parameter that is the same for all methods."""
    rows = [
        {"Parameter": Cell(f"{block}.{key}"), "Value": Cell(_shown(value))}
        for block in BLOCKS
        for key, value in asdict(getattr(results.settings, block)).items()
    ]
    return cells.table("ledger_equal", EQUAL, rows)


def differing(results: Results) -> Table | None:
    """Each method's own parameters, one column a parameter; learning rates are those that were used."""
    sections = {}
    for method in results.methods:
        used = {"learning_rates": rates} if (rates := results.tunings[method].rates) else {}
        sections[method] = results.settings.sections[method] | used
    keys = list(dict.fromkeys(key for method in results.methods for key in sections[method]))
    keys.sort(key=lambda key: key != "learning_rates")
    rows = []
    for method in results.methods:
        own = {key.replace("_", " "): Cell(_shown(sections[method].get(key, ABSENT))) for key in keys}
        rows.append({"Method": Cell(results.title(method), method=method), **own})
    return cells.table("ledger_differing", "What differed: each method's own parameters.", rows)


def departures(results: Results) -> Table | None:
    """In what each method differs from its source, with the settings it ran with."""
    rows = [
        {"Method": Cell(results.title(method), method=method), "Departure": Cell(text),
         "Source": Cell(methods.declared(method).source)}
        for method in results.methods
        for text in methods.departures(method, results.settings.sections[method])
    ]  # fmt: skip
    caption = "In what the methods here differ from their sources, with the settings of this report."
    return cells.table("ledger_departures", caption, rows)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_shown, value)) or "none"
    return "none" if value is None else "yes" if value is True else "no" if value is False else str(value)


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
        ("memory", f"{number(machine.memory_bytes / 2**20, 1)} MiB"),
        ("accelerator", machine.accelerator or "none"),
        ("system", machine.system),
        ("python", machine.python),
    ]
    return facts + sorted(machine.packages.items())


def revisions(results: Results, made: Mapping[str, str]) -> list[tuple[str, str]]:
    """(commit, titles of the methods that it ran), in the order of the methods; `made` is method → commit."""
    told = {method: made[method] for method in results.methods if method in made}
    return [(one, results.named(m for m in told if told[m] == one)) for one in dict.fromkeys(told.values())]


def digests(results: Results) -> dict[str, str]:
    """Path → MD5 of all that this report was made from, as DVC computes it, so that each is found in `dvc.lock`."""
    runs = [layout.Run(method, seed) for method, seed in results.runs]
    paths = [path for run in runs for path in (run.cost, run.curve, run.predictions, run.scores)]
    return {str(path): digest(path) for path in (layout.PREPARED, *paths)}


def digest_table(found: Mapping[str, str]) -> Table | None:
    """A row for each path."""
    rows = [{"Path": Cell(path), "MD5": Cell(md5)} for path, md5 in sorted(found.items())]
    return cells.table("digests", "Digests of what this report was made from, as DVC computes them.", rows)


def digest(path: Path) -> str:
    """DVC's hash: the file's MD5, or for a folder the MD5 of the list of its files, with the suffix .dir.

    Raises:
        InputError: there is nothing.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file; run `dvc repro`, which makes it, and what reads it after that.")
    if path.is_file():
        return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    files = [file for file in path.rglob("*") if file.is_file()]
    entries = [{"md5": digest(file), "relpath": file.relative_to(path).as_posix()} for file in files]
    entries.sort(key=lambda entry: entry["relpath"])
    listing = json.dumps(entries, sort_keys=True)
    return f"{hashlib.md5(listing.encode(), usedforsecurity=False).hexdigest()}.dir"
