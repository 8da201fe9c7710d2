"""The figures, one function each: results in, drawing out. What they share lies in `drawing`, the looks in `style`."""

import math
from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes

from ketune.report import drawing
from ketune.report.drawing import Drawing
from ketune.report.metrics import BY_KEY
from ketune.report.results import Results
from ketune.report.style import MUTED, Look
from ketune.report.tables import Intervals
from ketune.statistics import Interval

Looks = dict[str, Look]


def smooth(values: np.ndarray, width: int) -> np.ndarray:
    """Centred moving mean (…, T), with shorter windows at the ends."""
    kernel = np.ones(width)
    weights = np.convolve(np.ones(values.shape[-1]), kernel, mode="same")
    return np.apply_along_axis(lambda row: np.convolve(row, kernel, mode="same") / weights, -1, values)


def window(steps: int) -> int:
    """An odd smoothing window of about a tenth of the steps."""
    return max(1, min(steps, 2 * (steps // 20) + 1))


def learning_curves(results: Results, looks: Looks) -> Drawing | None:
    """One panel a method: each seed's loss thin, their smoothed mean, the band between the smoothed extremes."""
    trained = [method for method in results.methods if results.curves(method).shape[1]]
    if not trained:
        return None
    reference = results.settings.report.reference
    columns = min(4, len(trained))
    rows = math.ceil(len(trained) / columns)
    with drawing.canvas(10.4, 0.6 + 2.0 * rows, rows, columns, sharex=True, sharey=True) as (figure, panels):
        for number, panel in enumerate(panels):
            panel.set_visible(number < len(trained))
            panel.tick_params(labelbottom=number + columns >= len(trained))  # the last one of its column
        for panel, method in zip(panels, trained, strict=False):
            curves = results.curves(method)
            width = window(curves.shape[1])
            if reference in trained and reference != method:
                ours = results.curves(reference)
                panel.plot(ours[0, :, 0], smooth(ours[:, :, 1].mean(axis=0), width), color=MUTED[1], lw=1, ls=":")
            _curve(panel, curves, looks[method], width)
            panel.set_title(results.title(method))
            panel.grid(axis="y")
        low, high = _loss_range(results, trained)
        panels[0].set_ylim(low, high)
        figure.supxlabel("optimiser step", fontsize=10)
        figure.supylabel("training loss, nats per token", fontsize=10)
        dotted = f", {results.title(reference)} dotted" if reference in trained else ""
        caption = (
            f"Training loss: thin lines are seeds, the thick line is their mean, smoothed over {width} steps, the "
            f"band spans the smoothed seeds from lowest to highest{dotted}."
        )
        return drawing.finish(figure, "learning_curves", caption)


def _curve(panel: Axes, curves: np.ndarray, look: Look, width: int) -> None:
    steps, losses = curves[0, :, 0], curves[:, :, 1]
    smoothed = smooth(losses, width)
    for row in losses:
        panel.plot(steps, row, color=look.colour, lw=0.6, alpha=0.3)
    if len(losses) > 1:
        panel.fill_between(steps, smoothed.min(axis=0), smoothed.max(axis=0), color=look.colour, alpha=0.25, lw=0)
    panel.plot(steps, smoothed.mean(axis=0), color=look.colour, ls=look.line)


def _loss_range(results: Results, trained: list[str]) -> tuple[float, float]:
    """All but the outermost per cent of the losses, so that one bad batch does not flatten every panel."""
    losses = np.concatenate([results.curves(method)[:, :, 1].ravel() for method in trained])
    low, high = np.quantile(losses, [0.005, 0.99])
    margin = 0.05 * (high - low) or 0.1
    return float(low - margin), float(high + margin)


# key → (axis title, value of a method, or None where it has none)
COSTS: dict[str, tuple[str, Callable[[Results, str], float | None]]] = {
    "parameters": ("trainable parameters", lambda results, method: float(results.trainable(method))),
    "seconds": ("training time, seconds", lambda results, method: _median(results.cost(method, "wall_seconds"))),
    "memory": ("peak memory, MiB", lambda results, method: _median(
        [value / 2**20 for value in results.cost(method, "peak_memory_bytes")])),
    "energy": ("energy, joules", lambda results, method: _median(results.cost(method, "energy_joules"))),
}  # fmt: skip


MACHINE_COSTS = ("seconds", "memory", "energy")


def shown(one_machine: bool) -> list[str]:
    """The costs worth a figure: those of the machine only where all runs had the same one."""
    return [cost for cost in COSTS if one_machine or cost not in MACHINE_COSTS]


def _median(values: list[float]) -> float | None:
    return float(np.median(values)) if values else None


def tradeoff(results: Results, looks: Looks, intervals: Intervals, cost: str, metric: str = "loss") -> Drawing | None:
    """Quality against one cost on a log axis; what costs nothing is a level line; None where nothing was measured."""
    title, value = COSTS[cost]
    measured = {method: value(results, method) for method in results.methods}
    placed = {method: x for method, x in measured.items() if x is not None and x > 0}
    if not placed:
        return None
    spec = BY_KEY[metric]
    height = max(4.2, 0.75 + 0.19 * len(placed))
    with drawing.canvas(7.0, height) as (figure, (axes,)):
        drawing.cost_axis(axes, list(placed.values()))
        for method, x in placed.items():
            found = intervals[method, metric]
            axes.plot([x, x], [found.low, found.high], color=looks[method].colour, lw=1.2, alpha=0.45, zorder=3)
            drawing.point(axes, x, results.mean(method, metric), looks[method])
        for method in (m for m, x in measured.items() if x == 0):
            level = results.mean(method, metric)
            axes.axhline(level, color=looks[method].colour, lw=1, ls="--")
            axes.annotate(results.title(method), (0.01, level), xycoords=("axes fraction", "data"), xytext=(0, 3),
                          textcoords="offset points", fontsize=9, color=looks[method].colour)  # fmt: skip
        frontier(axes, [(x, intervals[m, metric]) for m, x in placed.items()], spec.lower_is_better)
        axes.margins(x=0.08, y=0.08)
        axes.grid()
        axes.set_xlabel(title)
        axes.set_ylabel(f"{spec.title}, {spec.unit}")
        if spec.lower_is_better:
            axes.invert_yaxis()
        drawing.label_at_edge(
            axes, [(x, results.mean(m, metric), results.title(m), looks[m]) for m, x in placed.items()]
        )
        caption = (
            f"{spec.title} against {title}; up and to the left is better. Bars are intervals. The dotted frontier "
            "joins methods whose interval lies clear of every cheaper one's."
        )
        return drawing.finish(figure, f"{metric}_against_{cost}", caption)


def frontier(axes: Axes, points: list[tuple[float, Interval]], lower_is_better: bool) -> None:
    """Steps through the points that are better than every cheaper one, their intervals apart."""
    kept: list[tuple[float, Interval]] = []
    for x, found in sorted(points, key=lambda item: (item[0], item[1].value if lower_is_better else -item[1].value)):
        clear = all(found.high < k.low if lower_is_better else found.low > k.high for _, k in kept)
        if clear:
            kept.append((x, found))
    if len(kept) > 1:
        axes.step(
            [x for x, _ in kept], [k.value for _, k in kept], where="post", color=MUTED[1], lw=1, ls=":", zorder=1
        )
