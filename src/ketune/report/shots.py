"""Held-out loss where circuits are read with shots and noise: what `measure` found, beside what training is worth."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ketune.ground import files, layout
from ketune.ground.errors import InputError
from ketune.ground.layout import Run
from ketune.ground.params import Params
from ketune.records.measured import Measured, Reading
from ketune.report import cells, hardware
from ketune.report.cells import Cell, Table, number, numeral
from ketune.report.results import Results

ALIKE = 1e-3  # relative: another processor or batch rounds differently


def read(settings: Params, folder: Path = layout.MEASURED) -> dict[tuple[str, int], Measured]:
    """(method, seed) → its readings, for the methods that the params list for it."""
    keys = [(method, seed) for method in settings.hardware.methods for seed in settings.seeds]
    return {key: files.read_json(folder / Run(*key).measured.name, Measured) for key in keys}


def table(results: Results, measured: Mapping[tuple[str, int], Measured]) -> Table | None:
    """A row for each method and way of reading, means over seeds; None where nothing was measured.

    Raises:
        InputError: the readings are of other weights or texts than the runs.
    """
    rows = [row for method in results.settings.hardware.methods for row in _rows(results, method, measured)]
    if not rows:
        return None
    methods, seeds = results.settings.hardware.methods, results.settings.seeds
    read_on = hardware.by_method(results, {m: _texts([measured[m, seed] for seed in seeds]) for m in methods})
    kept = "; kept is what remains of the gain over the untuned model on these texts."
    caption = (
        f"Held-out loss, in nats per token, of {read_on} where the "
        "circuits of trained adapters are read with a number of measurements for each circuit and token, and with "
        "errors. Depolarizing: probability of a Pauli error on each wire of each gate of the circuit, the preparation "
        "of its state excepted; read-out: that a bit is read wrongly. Means over seeds, in brackets the smallest and "
        "largest; differences are from the exact reading of the same run" + (kept if "base" in results.methods else ".")
    )
    return cells.table("shots", caption, rows)


def _texts(runs: Sequence[Measured]) -> str:
    """How many references the seeds of a method were read on."""
    return ", ".join(dict.fromkeys(f"{len(run.ids)} references ({sum(run.tokens):,} tokens)" for run in runs))


def _rows(results: Results, method: str, measured: Mapping[tuple[str, int], Measured]) -> list[dict[str, Cell]]:
    seeds = results.settings.seeds
    runs = [measured[method, seed] for seed in seeds]
    for seed, run in zip(seeds, runs, strict=True):
        _check(results, method, seed, run)
    exact = np.array([_loss(run, run.readings[0]) for run in runs])
    untuned = None
    if "base" in results.methods:
        untuned = np.array([_untuned(results, seed, run) for seed, run in zip(seeds, runs, strict=True)])
    rows = []
    for ways in zip(*(run.readings for run in runs), strict=True):
        loss = np.array([_loss(run, way) for run, way in zip(runs, ways, strict=True)])
        row = {
            "Method": Cell(results.title(method), method=method),
            "Circuits read": Cell(ways[0].title),
            "Held-out loss": numeral(loss.mean(), 4),
            "Less exact": _spread(loss - exact),
        }
        if untuned is not None:
            row["Gain kept"] = _kept(float((untuned - loss).mean()), float((untuned - exact).mean()))
        rows.append(row)
    return rows


def _kept(left: float, gain: float) -> Cell:
    """What is left of a gain; a dash where training gained nothing on these texts."""
    return Cell(f"{number(100 * left / gain, 0)} %", left / gain) if gain > 0 else Cell(cells.ABSENT)


def _spread(values: np.ndarray) -> Cell:
    note = cells.interval(values.min(), values.max(), 4, signed=True) if len(values) > 1 else ""
    return numeral(values.mean(), 4, signed=True, note=note)


def _loss(run: Measured, way: Reading) -> float:
    return sum(way.losses) / sum(run.tokens)


def _untuned(results: Results, seed: int, run: Measured) -> float:
    """The untuned model's loss of the same texts."""
    nats = _sums(results, "base", seed)
    return sum(nats[one] for one in run.ids) / sum(run.tokens)


def _sums(results: Results, method: str, seed: int) -> dict[str, float]:
    """Id → nats of the reference, as the run's likelihood says."""
    scores = results.runs[method, seed].scores
    return {one: sums[0] for one, sums in zip(scores.ids["likelihood"], scores.metrics["loss"].sums, strict=True)}


def _check(results: Results, method: str, seed: int, run: Measured) -> None:
    known, name = _sums(results, method, seed), Run(method, seed).key
    wanted = np.array([known.get(one, np.nan) for one in run.ids])
    if not np.allclose(run.readings[0].losses, wanted, rtol=ALIKE):
        raise InputError(
            f"{Run(method, seed).measured}: its exact reading differs from the likelihood of {name}, so it is of other "
            f"weights or texts; run `dvc repro --force measure@{name}`."
        )
