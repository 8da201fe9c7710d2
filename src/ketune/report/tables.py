"""The tables: results in, cells out. Words of judgement come from the statistics alone."""

import pandas as pd

from ketune.report import cuts
from ketune.report.cells import Cell, Table, interval, number, numeral, table
from ketune.report.costs import COSTS
from ketune.report.results import Results


def quality(results: Results, intervals: pd.DataFrame, best: dict[str, str]) -> Table | None:
    """Every metric of every method with its interval; bold only where it is better than every other."""
    rows = []
    for method in results.methods:
        row = {"Method": Cell(results.title(method), method=method)}
        row["Trained parameters"] = numeral(results.trainable(method), 0)
        cut, answers = cuts.counted(results, method)
        row["Cut, %"] = numeral(100 * cut / answers, 0)
        for metric in results.metrics:
            low, high = intervals.loc[(method, metric.key), ["low", "high"]]
            note = interval(low, high, metric.digits)
            mark = "best" if best.get(metric.key) == method else ""
            cell = numeral(results.mean(method, metric.key), metric.digits, note=note, mark=mark)
            row[metric.heading] = cuts.marked(results, cell, metric, method)
        rows.append(row)
    caption = (
        f"Mean over seeds with {100 * results.settings.report.confidence:g} % interval. Held-out loss: nats per token "
        "of the reference answers of records neither trained nor tuned on. Retention loss: the same of neutral "
        "text, which tells what was forgotten. The others score answers, from 0 to 100. Cut: the share of answers that "
        "the model did not end itself. Bold: its verdict against every other method is better."
    )
    return table("quality", caption + cuts.footnote(results), rows)


def signatures(results: Results) -> list[tuple[str, str]]:
    """How each metric was computed, the same way in every run."""
    scores = results.of(results.methods[0])[0].scores.metrics
    return [(metric.title, scores[metric.key].signature) for metric in results.metrics]


def costs(results: Results, comparable: bool) -> Table | None:
    """What training cost: medians over seeds with their range, for machines that are the same."""
    spread = results.frame.groupby("method", sort=False).agg(["median", "min", "max"])
    rows = []
    for method in results.methods:
        run = results.of(method)[0].training
        row = {
            "Method": Cell(results.title(method), method=method),
            "Trained parameters": numeral(results.trainable(method), 0),
            "With gradient": numeral(run.parameters.receiving, 0),
            "Adapter, KiB": numeral(run.adapter_bytes / 1024, 0),
        }
        for cost in (cost for cost in COSTS if cost.heading and results.frame[cost.column].notna().any()):
            row[cost.heading] = _range(spread.loc[method, cost.column] / cost.size, cost.digits)
        rows.append(row)
    caption = "What training cost: median over seeds, lowest to highest below." + (
        "" if comparable else " The runs used different machines: seconds, memory and joules cannot be compared."
    )
    return table("costs", caption, rows)


def _range(found: pd.Series, digits: int) -> Cell:
    several = found["min"] < found["max"]
    note = f"{number(found['min'], digits)} to {number(found['max'], digits)}" if several else ""
    return numeral(found["median"], digits, note=note)
