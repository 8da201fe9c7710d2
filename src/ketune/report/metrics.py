"""Which numbers are reported, what they are called, which way is better, and the files that DVC's own commands read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ketune import layout, records
from ketune.report.results import Results
from ketune.statistics import Interval


@dataclass(frozen=True)
class Metric:
    """A reported number.

    Attributes:
        key: its name in score files.
        title: its name in tables.
        lower_is_better: True for losses.
        digits: decimals that tables print.
        unit: what it is measured in.
    """

    key: str
    title: str
    lower_is_better: bool
    digits: int
    unit: str


METRICS = (
    Metric("loss", "Held-out loss", True, 3, "nats per token"),
    Metric("bleu", "BLEU", False, 2, "0 to 100"),
    Metric("chrf", "chrF", False, 2, "0 to 100"),
    Metric("rouge1", "ROUGE-1", False, 2, "0 to 100"),
    Metric("rouge2", "ROUGE-2", False, 2, "0 to 100"),
    Metric("rougeL", "ROUGE-L", False, 2, "0 to 100"),
    Metric("bertscore", "BERTScore F1", False, 2, "0 to 100"),
    Metric("retention_loss", "Retention loss", True, 3, "nats per token of neutral text"),
)
BY_KEY = {metric.key: metric for metric in METRICS}


def compact(results: Results, method: str) -> dict[str, Any]:
    """The flat mapping that `dvc metrics show` prints as one row: means over seeds, four decimals."""
    values: dict[str, Any] = {metric.key: round(results.mean(method, metric.key), 4) for metric in METRICS}
    return values | {"parameters": results.trainable(method)}


def write_metrics(results: Results) -> None:
    """One file for each listed method; the folder is replaced whole, so no other method's file stays."""
    with records.replacing(layout.METRICS) as folder:
        folder.mkdir()
        for method in results.methods:
            records.write_json(folder / f"{method}.json", compact(results, method))


def write_curves(results: Results) -> None:
    """One long table (method, step, loss as mean over seeds), from which DVC overlays all curves."""
    rows = []
    for method in results.methods:
        curves = results.curves(method)
        for step, loss in zip(curves[0, :, 0], curves[:, :, 1].mean(axis=0), strict=True):
            rows.append([method, int(step), round(float(loss), 6)])
    records.write_csv(layout.REPORTS / "loss.csv", ["method", "step", "loss"], rows)


def write_scores(results: Results, intervals: Mapping[tuple[str, str], Interval]) -> None:
    """One row a method: each metric with the ends of its interval."""
    columns = ["method", *(f"{metric.key}{end}" for metric in METRICS for end in ("", "_low", "_high"))]
    rows = []
    for method in results.methods:
        row: list[Any] = [method]
        for metric in METRICS:
            found = intervals[method, metric.key]
            row += [round(value, 4) for value in (results.mean(method, metric.key), found.low, found.high)]
        rows.append(row)
    records.write_csv(layout.REPORTS / "scores.csv", columns, rows)
