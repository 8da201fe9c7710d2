"""The tables: results in, cells out. Words of judgement come from the statistics alone."""

from ketune.report.cells import Cell, Table, numeral
from ketune.report.metrics import METRICS
from ketune.report.results import Results


def quality(results: Results) -> Table:
    """Every metric of every method, mean over seeds, with the trainable parameters."""
    rows = []
    for method in results.methods:
        cells = [numeral(results.mean(method, metric.key), metric.digits) for metric in METRICS]
        rows.append((Cell(results.title(method), method=method), numeral(results.trainable(method), 0), *cells))
    columns = ("Method", "Parameters", *(f"{m.title} {'↓' if m.lower_is_better else '↑'}" for m in METRICS))
    return Table("quality", "Quality: mean over seeds.", columns, tuple(rows))
