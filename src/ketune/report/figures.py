"""Learning curves, and quality against cost: results in, drawing out. What figures share lies in `drawing`."""

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes

from ketune import metrics
from ketune.report import drawing
from ketune.report.costs import Cost
from ketune.report.drawing import Drawing
from ketune.report.results import Results
from ketune.report.style import MUTED, Look, Looks


def window(steps: int) -> int:
    """An odd smoothing window of about a tenth of the steps."""
    return 2 * (steps // 20) + 1


def learning_curves(results: Results, looks: Looks) -> Drawing | None:
    """One panel a method: each seed's loss thin, their smoothed mean, the band between the smoothed extremes."""
    curves = results.curves.reset_index()
    if curves.empty:
        return None
    width = window(curves["step"].nunique())
    rolling = curves.groupby(["method", "seed"])["loss"].rolling(width, center=True, min_periods=1)
    curves["smoothed"] = rolling.mean().droplevel([0, 1])
    panel_of = curves.groupby("method", sort=False)
    reference = results.settings.report.reference
    with drawing.grid(len(panel_of), 10.4, 0.6, 2.0, sharex=True, sharey=True) as (figure, panels):
        for panel, (method, curve) in zip(panels, panel_of, strict=True):
            if reference in panel_of.groups and reference != method:
                ours = panel_of.get_group(reference).groupby("step")["smoothed"].mean()
                seaborn.lineplot(ours, estimator=None, color=MUTED[1], lw=1, ls=":", ax=panel)
            _curve(panel, curve, looks[str(method)], width)
            panel.set(title=results.title(str(method)), xlabel="", ylabel="")
            panel.grid(axis="y")
        # all but the outermost per cent, so that one bad batch does not flatten every panel
        low, high = np.quantile(curves["loss"], [0.005, 0.99])
        margin = 0.05 * (high - low) or 0.1
        panels[0].set_ylim(low - margin, high + margin)
        figure.supxlabel("optimiser step", fontsize=10)
        figure.supylabel("training loss, nats per token", fontsize=10)
        dotted = f", {results.title(reference)} dotted" if reference in panel_of.groups else ""
        caption = (
            f"Training loss: thin lines are seeds, the thick line is their mean, smoothed over {width} steps, the "
            f"band spans the smoothed seeds from lowest to highest{dotted}."
        )
        return drawing.finish(figure, "learning_curves", caption)


def _curve(panel: Axes, curve: pd.DataFrame, look: Look, width: int) -> None:
    faint = min(0.3, 6 / width)  # lest many steps cover the mean
    seaborn.lineplot(curve, x="step", y="loss", units="seed", estimator=None, color=look.colour, lw=0.6, alpha=faint,
                     ax=panel)  # fmt: skip
    few = curve[curve["step"] % max(1, width // 8) == 0]  # what is smooth over `width` needs no more points
    seaborn.lineplot(few, x="step", y="smoothed", errorbar=("pi", 100), color=look.colour, ls=look.line,
                     err_kws={"alpha": 0.25, "lw": 0}, ax=panel)  # fmt: skip


def tradeoff(results: Results, looks: Looks, intervals: pd.DataFrame, cost: Cost) -> Drawing | None:
    """Held-out loss against one cost on a log axis; what costs nothing is a level line. None where no cost is known."""
    spent = results.frame.groupby("method", sort=False)[cost.column].median() / cost.size
    frame = intervals.xs("loss", level="metric").assign(spent=spent, value=results.means["loss"]).reset_index()
    frame["title"] = frame["method"].map(results.title)
    placed = frame[frame["spent"] > 0]
    if placed.empty:
        return None
    spec = metrics.named("loss")
    with drawing.canvas(7.0, max(4.2, 0.75 + 0.19 * len(placed))) as (figure, (axes,)):
        drawing.cost_axis(axes, placed["spent"])
        colours = [looks[method].colour for method in placed["method"]]
        axes.vlines(placed["spent"], placed["low"], placed["high"], colors=colours, lw=1.2, alpha=0.45, zorder=3)
        drawing.points(axes, placed, "spent", "value", looks)
        for row in frame[frame["spent"] == 0].itertuples():
            colour = looks[row.method].colour
            axes.axhline(row.value, color=colour, lw=1, ls="--")
            axes.annotate(row.title, (0.01, row.value), xycoords=("axes fraction", "data"), xytext=(0, 3),
                          textcoords="offset points", fontsize=9, color=colour)  # fmt: skip
        steps = frontier(placed)
        seaborn.lineplot(steps, x="spent", y="value", estimator=None, drawstyle="steps-post", color=MUTED[1], lw=1,
                         ls=":", zorder=1, ax=axes)  # fmt: skip
        axes.margins(x=0.08, y=0.08)
        axes.grid()
        axes.set(xlabel=cost.axis, ylabel=f"{spec.title}, {spec.unit}")
        axes.invert_yaxis()
        drawing.label_at_edge(axes, placed, "spent", "value", looks)
        caption = (
            f"{spec.title} against {cost.axis}; up and to the left is better. Bars are intervals. The dotted frontier "
            "joins methods whose interval lies clear of every cheaper trained one's."
        )
        return drawing.finish(figure, f"loss_against_{cost.key}", caption)


def frontier(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of (spent, value, low, high) whose interval lies below that of every cheaper one."""
    rows = frame.sort_values(["spent", "value"])
    return rows[~(rows["high"] >= rows["low"].cummin().shift())]
