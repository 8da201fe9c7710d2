"""Every measured quantity of each method in one table, from which the page draws any two against each other.

The table stands without a script. With one, rows can be filtered, two quantities chosen, and the rows saved as CSV.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ketune import metrics
from ketune.report import browser, cuts
from ketune.report.cells import Cell, Table, numeral, table
from ketune.report.costs import COSTS, Cost
from ketune.report.results import Results

Spot = tuple[float, float, float]
"""A value with the ends of its interval, or with the lowest and the highest seed."""


@dataclass(frozen=True)
class Quantity:
    """What was measured of every method; `spots` has those where it was."""

    title: str
    unit: str
    digits: int
    lower_is_better: bool
    spots: dict[str, Spot]

    @property
    def heading(self) -> str:
        """The title with its unit."""
        return f"{self.title}, {self.unit}" if self.unit else self.title

    @property
    def column(self) -> str:
        """The title with an arrow to where better values lie."""
        return f"{self.title} {'↓' if self.lower_is_better else '↑'}"


def quantities(results: Results, intervals: pd.DataFrame, costs: Sequence[Cost]) -> list[Quantity]:
    """These costs, then all metrics."""
    found = [*(_cost(results, cost) for cost in costs), *(_metric(results, intervals, m) for m in results.metrics)]
    return [quantity for quantity in found if quantity.spots]


def _cost(results: Results, cost: Cost) -> Quantity:
    values = results.frame[cost.column] / cost.size
    spread = values.groupby("method", sort=False).agg(["median", "min", "max"]).dropna()
    spots = {str(method): (row["median"], row["min"], row["max"]) for method, row in spread.iterrows()}
    return Quantity(cost.title, cost.unit, cost.digits, cost.lower_is_better, spots)


def _metric(results: Results, intervals: pd.DataFrame, metric: metrics.Metric) -> Quantity:
    ends = intervals.xs(metric.key, level="metric")
    spots = {m: (results.mean(m, metric.key), ends.at[m, "low"], ends.at[m, "high"]) for m in results.methods}
    title = cuts.marked(results, Cell(metric.title), metric, *results.methods).text
    return Quantity(title, metric.unit, metric.digits, metric.lower_is_better, spots)


def measured(results: Results, found: Sequence[Quantity]) -> Table | None:
    """A row for each method, a column for each quantity."""
    rows = [
        {"Method": Cell(results.title(method), method=method), "Family": Cell(results.family(method))}
        | {quantity.column: _cell(quantity, method) for quantity in found}
        for method in results.methods
    ]
    titles = [cost.title for cost in COSTS]
    units = "".join(f"; {one.title.lower()} in {one.unit}" for one in found if one.title in titles and one.unit)
    caption = f"All that was measured: means of metrics and medians of costs over seeds{units}."
    return table("measured", caption + cuts.footnote(results), rows)


def _cell(quantity: Quantity, method: str) -> Cell:
    return numeral(quantity.spots[method][0] if method in quantity.spots else None, quantity.digits)


def data(results: Results, found: Sequence[Quantity]) -> dict[str, Any]:
    """What the page's script draws: methods in the order of the table's rows, numbers with nine digits."""
    return {
        "methods": browser.titles(results),
        "quantities": [
            {
                "heading": quantity.heading,
                "lower": quantity.lower_is_better,
                "spots": [_rounded(quantity.spots.get(method)) for method in results.methods],
            }
            for quantity in found
        ],
    }


def _rounded(spot: Spot | None) -> list[float | None] | None:
    """JSON has no infinity: an end of an interval that has none is left out."""
    if spot is None:
        return None
    return [float(f"{value:.9g}") if math.isfinite(value) else None for value in spot]
