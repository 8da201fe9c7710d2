"""Which numbers are reported, what they are called, which way is better, and the files that DVC's own commands read."""

from dataclasses import dataclass

import pandas as pd

from ketune.ground import files, layout
from ketune.report.results import Results


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


def write_metrics(results: Results) -> None:
    """One file for each listed method, which `dvc metrics show` prints as a row: means over seeds, four decimals.

    The folder is replaced whole, so no other method's file stays.
    """
    means = results.means[list(BY_KEY)].round(4)
    with files.replacing(layout.METRICS) as folder:
        folder.mkdir()
        for method, row in means.iterrows():
            values = row.to_dict() | {"parameters": results.trainable(method)}
            files.write_json(folder / f"{method}.json", values)


def write_curves(results: Results) -> None:
    """One long table (method, step, loss as mean over seeds), from which DVC overlays all curves."""
    means = results.curves.groupby(["method", "step"], sort=False)["loss"].mean().round(6)
    files.write_text(layout.REPORTS / "loss.csv", means.to_csv())


def write_scores(results: Results, intervals: pd.DataFrame) -> None:
    """One row a method: each metric with the ends of its interval."""
    columns = {}
    for key in BY_KEY:
        ends = intervals.xs(key, level="metric")
        columns |= {key: results.means[key], f"{key}_low": ends["low"], f"{key}_high": ends["high"]}
    files.write_text(layout.REPORTS / "scores.csv", pd.DataFrame(columns).round(4).to_csv())
