"""Answers that were cut at the token limit: how many there are, and what they make of the metrics that read answers.

Such a metric scores the beginning of an answer. Methods that were cut differ in how long they would have gone on, so it
carries a mark and takes no part in judgements.
"""

from dataclasses import replace

from ketune.metrics import Metric
from ketune.report.cells import Cell
from ketune.report.results import Results

MARK = "†"


def counted(results: Results, method: str) -> tuple[int, int]:
    """Answers of a method that were cut, and all of them, over its seeds."""
    endings = [ending for run in results.of(method) for ending in run.endings]
    return sum(not ending.finished for ending in endings), len(endings)


def touch(results: Results, metric: Metric, *names: str) -> bool:
    """True of a metric of answers where some answer of these methods was cut."""
    return metric.reads == "answers" and any(counted(results, method)[0] for method in names)


def marked(results: Results, cell: Cell, metric: Metric, *names: str) -> Cell:
    """The cell, with the mark where cut answers touch it."""
    return replace(cell, text=f"{cell.text} {MARK}") if touch(results, metric, *names) else cell


def footnote(results: Results) -> str:
    """What the mark means, to follow a caption; nothing where no answer was cut."""
    if not any(counted(results, method)[0] for method in results.methods):
        return ""
    limit = results.settings.generate.max_new_tokens
    return (
        f" {MARK} Some answers were cut at {limit} tokens: only their beginnings are scored, and no verdict is given."
    )
