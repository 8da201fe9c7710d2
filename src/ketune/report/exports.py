"""The files that DVC's own commands read: metrics, curves and scores of the listed methods. Git keeps them."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from ketune.ground import files, layout
from ketune.report.results import Results

CURVES, SCORES = layout.REPORTS / "loss.csv", layout.REPORTS / "scores.csv"


def paths(methods: tuple[str, ...]) -> list[Path]:
    """All of these files, for the listed methods."""
    return [*(layout.METRICS / f"{method}.json" for method in sorted(methods)), CURVES, SCORES]


def digest(contents: Mapping[Path, bytes]) -> str:
    """One name for the content of files; a page bears it, so that a page and the results beside it can be compared.

    A report's is that of `paths`, into which nothing measured by a clock enters: equal results have equal digests,
    whatever they cost. A published study's is that of all its records, costs among them.
    """
    found = hashlib.sha256()
    for path, content in contents.items():
        found.update(f"{path.as_posix()}:{hashlib.sha256(content).hexdigest()}\n".encode())
    return found.hexdigest()


def write_metrics(results: Results) -> None:
    """One file for each listed method, which `dvc metrics show` prints as a row: means over seeds, four decimals.

    The folder is replaced whole, so no other method's file stays.
    """
    means = results.means[[metric.key for metric in results.metrics]].round(4)
    with files.replacing(layout.METRICS) as folder:
        folder.mkdir()
        for method, row in means.iterrows():
            values = row.to_dict() | {"parameters": results.trainable(method)}
            files.write_json(folder / f"{method}.json", values)


def write_curves(results: Results) -> None:
    """One long table (method, step, loss as mean over seeds), from which DVC overlays all curves."""
    means = results.curves.groupby(["method", "step"], sort=False)["loss"].mean().round(6)
    files.write_text(CURVES, means.to_csv())


def write_scores(results: Results, intervals: pd.DataFrame) -> None:
    """One row a method: each metric with the ends of its interval."""
    columns: dict[str, pd.Series] = {}
    for key in (metric.key for metric in results.metrics):
        ends = intervals.xs(key, level="metric")
        columns |= {key: results.means[key], f"{key}_low": ends["low"], f"{key}_high": ends["high"]}
    files.write_text(SCORES, pd.DataFrame(columns).round(4).to_csv())
