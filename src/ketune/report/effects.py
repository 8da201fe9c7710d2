"""Figures of effects and their intervals: against controls, method by method, and gain against forgetting."""

import numpy as np
from matplotlib.axes import Axes

from ketune.report import drawing
from ketune.report.comparisons import Judgement, controls
from ketune.report.drawing import Drawing
from ketune.report.metrics import METRICS, Metric
from ketune.report.results import Results
from ketune.report.style import GRID, MUTED, Look
from ketune.report.tables import Intervals

Looks = dict[str, Look]


def against_controls(results: Results, looks: Looks, judgement: Judgement) -> Drawing | None:
    """The study's question as a figure: quantum method less control on held-out loss, a row for each control."""
    groups = {}
    for method in results.in_family("quantum"):
        ran = [other for other in controls(results, method) if (method, other) in judgement.verdicts]
        if ran:
            groups[method] = ran
    if not groups:
        return None
    margin = results.settings.report.margin
    counts = [len(ran) for ran in groups.values()]
    height = 0.7 + sum(0.5 + 0.27 * count for count in counts)
    with drawing.canvas(8.4, height, len(groups), 1, sharex=True, height_ratios=[c + 1 for c in counts]) as (
        figure,
        panels,
    ):
        for panel, (method, ran) in zip(panels, groups.items(), strict=True):
            panel.axvspan(-margin, margin, color=GRID[1], alpha=0.5, lw=0)
            panel.axvline(0, color=MUTED[1], lw=1)
            for row, other in enumerate(ran):
                found = judgement.verdicts[method, other]
                panel.plot([found.low, found.high], [row, row], color=looks[other].colour, lw=2, solid_capstyle="butt")
                drawing.point(panel, found.difference, row, looks[other])
            _rows(panel, [results.title(other) for other in ran])
            panel.set_title(f"{results.title(method)} less …")
        panels[-1].set_xlabel("difference in held-out loss, nats per token  (left of 0: the quantum method is better)")
        caption = (
            "Each quantum method less each of its controls, with intervals over seeds and prompts. The shaded strip is "
            f"the margin of ±{margin:g} within which methods count as comparable."
        )
        return drawing.finish(figure, "against_controls", caption)


def _rows(axes: Axes, titles: list[str]) -> None:
    axes.set_yticks(range(len(titles)), titles)
    axes.set_ylim(len(titles) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")


def interval_plot(results: Results, looks: Looks, intervals: Intervals) -> Drawing:
    """Methods as rows, one panel a metric: the mean, its interval, the seeds as faint dots."""
    titles = [results.title(method) for method in results.methods]
    height = 1.1 + 2 * (0.45 + 0.21 * len(titles))
    with drawing.canvas(11.2, height, 2, 4, sharey=True) as (figure, panels):
        for panel, metric in zip(panels, METRICS, strict=True):
            for row, method in enumerate(results.methods):
                _interval_row(panel, results, looks[method], intervals, method, metric, row)
            _rows(panel, titles)
            panel.set_title(f"{metric.title} ({'lower' if metric.lower_is_better else 'higher'} is better)", fontsize=9)
            panel.locator_params(axis="x", nbins=4)
        caption = (
            f"Every metric with its {100 * results.settings.report.confidence:g} % interval; faint dots are seeds. "
            "Overlapping intervals may still separate when paired: the verdicts tell."
        )
        return drawing.finish(figure, "intervals", caption)


def _interval_row(
    panel: Axes, results: Results, look: Look, intervals: Intervals, method: str, metric: Metric, row: int
) -> None:
    values = results.corpus(method, metric.key)
    panel.plot(values, np.full(len(values), row), ".", color=look.colour, alpha=0.4, markersize=5, zorder=3)
    found = intervals[method, metric.key]
    panel.plot([found.low, found.high], [row, row], color=look.colour, lw=1.6, solid_capstyle="butt")
    drawing.point(panel, float(values.mean()), row, look, size=6)


def forgetting(results: Results, looks: Looks) -> Drawing | None:
    """What was gained on the task against what was lost on neutral text; the untuned model is the origin."""
    if "base" not in results.methods:
        return None
    loss, retention = results.mean("base", "loss"), results.mean("base", "retention_loss")
    tuned = [method for method in results.methods if method != "base"]
    if not tuned:
        return None
    with drawing.canvas(7.6, max(4.4, 0.75 + 0.19 * len(tuned))) as (figure, (axes,)):
        axes.axhline(0, color=MUTED[1], lw=1)
        axes.axvline(0, color=MUTED[1], lw=1)
        points = []
        for method in tuned:
            gains, lost = loss - results.corpus(method, "loss"), results.corpus(method, "retention_loss") - retention
            axes.plot(gains, lost, ".", color=looks[method].colour, alpha=0.4, markersize=5)
            drawing.point(axes, float(gains.mean()), float(lost.mean()), looks[method])
            points.append((float(gains.mean()), float(lost.mean()), results.title(method), looks[method]))
        axes.margins(0.08)
        axes.grid()
        axes.set_xlabel("gain: held-out loss of the untuned model less the method's (right is better)")
        axes.set_ylabel("forgetting: rise of the loss on neutral text (down is better)")
        drawing.label_at_edge(axes, points)
        caption = "Gain against forgetting, in nats per token; the untuned model is the origin, faint dots are seeds."
        return drawing.finish(figure, "gain_against_forgetting", caption)
