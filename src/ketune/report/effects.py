"""Figures of effects and their intervals: against other methods, of each method, and gain against forgetting."""

import pandas as pd
import seaborn
from matplotlib.axes import Axes

from ketune import methods
from ketune.report import cuts, drawing
from ketune.report.cells import Cell
from ketune.report.comparisons import Judgement
from ketune.report.drawing import Drawing
from ketune.report.panels import MARGIN
from ketune.report.results import Results
from ketune.report.style import GRID, MUTED, Looks


def others(results: Results, method: str) -> tuple[str, ...]:
    """The reference and a method's controls, those of them that ran, the method itself aside."""
    listed = dict.fromkeys((results.settings.report.reference, *methods.controls(method)))
    return tuple(other for other in listed if other in results.methods and other != method)


def against_others(results: Results, looks: Looks, judgement: Judgement) -> Drawing | None:
    """The study's question as a figure: quantum method less the reference and each control, on held-out loss."""
    frame = pd.DataFrame([
        {"quantum": method, "method": other, "title": results.title(other), "value": found.difference,
         "low": found.low, "high": found.high}
        for method in results.in_family("quantum")
        for other in others(results, method) if not judgement.void.keys() & {method, other}
        for found in [judgement.verdict(method, other)]
    ])  # fmt: skip
    if frame.empty:
        return None
    margin = judgement.panels["loss"].margin
    groups = frame.groupby("quantum", sort=False)
    height = 0.7 + 0.5 * len(groups) + 0.27 * len(frame)
    shares = [count + 1 for count in groups.size()]
    with drawing.canvas(8.4, height, len(groups), 1, sharex=True, height_ratios=shares) as (figure, panels):
        for panel, (method, rows) in zip(panels, groups, strict=True):
            if margin is not None:
                panel.axvspan(-margin, margin, color=GRID[1], alpha=0.5, lw=0)
            panel.axvline(0, color=MUTED[1], lw=1)
            _intervals(panel, rows, looks, size=7.5)
            panel.set_title(f"{results.title(str(method))} less …")
        panels[-1].set_xlabel("difference in held-out loss, nats per token  (left of 0: the quantum method is better)")
        reference = results.settings.report.reference
        those = f"{results.title(reference)} and each" if reference in results.methods else "each"
        caption = f"Each quantum method less {those} of its controls, with the intervals of their verdicts."
        if margin is not None:
            caption += f" The shaded strip is ±{margin:.3g}, {MARGIN}: within it methods count as comparable."
        return drawing.finish(figure, "against_others", caption)


def _intervals(axes: Axes, rows: pd.DataFrame, looks: Looks, size: float) -> None:
    """A line for each of (method, title, value, low, high), from the top down: its interval and its marker."""
    colours = [looks[method].colour for method in rows["method"]]
    drawing.points(axes, rows, "value", "title", looks, size)
    axes.hlines(rows["title"], rows["low"], rows["high"], colors=colours, lw=size / 4)
    axes.set(xlabel="", ylabel="", ylim=(len(rows) - 0.4, -0.6))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")


def interval_plot(results: Results, looks: Looks, intervals: pd.DataFrame) -> Drawing:
    """Methods as rows, one panel a metric: the mean, its interval, the seeds as faint dots."""
    seeds = results.frame.reset_index()
    titles = [results.title(method) for method in results.methods]
    colours = {method: look.colour for method, look in looks.items()}
    shown = results.metrics
    with drawing.grid(len(shown), 11.2, 1.1, 0.45 + 0.21 * len(titles), sharey=True) as (figure, panels):
        for panel, metric in zip(panels, shown, strict=True):
            seaborn.stripplot(seeds, x=metric.key, y=seeds["method"].map(results.title), hue="method", palette=colours,
                              jitter=False, size=3.5, alpha=0.4, zorder=3, legend=False, ax=panel)  # fmt: skip
            means = intervals.xs(metric.key, level="metric").assign(value=results.means[metric.key], title=titles)
            _intervals(panel, means.reset_index(), looks, size=6)
            title = cuts.marked(results, Cell(metric.heading), metric, *results.methods).text
            panel.set_title(title, fontsize=9)
            panel.locator_params(axis="x", nbins=4)
        caption = (
            f"Every metric with its {100 * results.settings.report.confidence:g} % interval; arrows point to better, "
            "faint dots are seeds. "
            f"Overlapping intervals may still separate when paired: the verdicts tell.{cuts.footnote(results)}"
        )
        return drawing.finish(figure, "intervals", caption)


def forgetting(results: Results, looks: Looks) -> Drawing | None:
    """What was gained on the task against what was lost on neutral text; the untuned model is the origin."""
    tuned = [method for method in results.methods if method != "base"]
    if "base" not in results.methods or not tuned:
        return None
    rise = (results.frame - results.means.loc["base"]).loc[tuned]
    seeds = pd.DataFrame({"gain": -rise["loss"], "lost": rise["retention_loss"]})
    means = seeds.groupby("method", sort=False).mean().reset_index()
    means["title"] = means["method"].map(results.title)
    with drawing.canvas(7.6, max(4.4, 0.75 + 0.19 * len(tuned))) as (figure, (axes,)):
        axes.axhline(0, color=MUTED[1], lw=1)
        axes.axvline(0, color=MUTED[1], lw=1)
        seaborn.scatterplot(seeds, x="gain", y="lost", hue="method", palette={m: looks[m].colour for m in tuned},
                            s=12, linewidth=0, alpha=0.4, legend=False, ax=axes)  # fmt: skip
        drawing.points(axes, means, "gain", "lost", looks)
        axes.margins(0.08)
        axes.grid()
        axes.set_xlabel("gain: held-out loss of the untuned model less the method's (right is better)")
        axes.set_ylabel("forgetting: rise of the loss on neutral text (down is better)")
        drawing.label_at_edge(axes, means, "gain", "lost", looks)
        caption = "Gain against forgetting, in nats per token; the untuned model is the origin, faint dots are seeds."
        return drawing.finish(figure, "gain_against_forgetting", caption)
