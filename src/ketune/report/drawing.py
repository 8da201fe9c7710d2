"""What all figures share: canvas, marks, direct labels that keep apart, and SVG text that is the same bytes every time.

Marks are seaborn's; it is never asked for an interval, because intervals come from `ketune.statistics`.
"""

import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib

matplotlib.use("agg")  # labels are measured with its renderer
import matplotlib.pyplot as plt
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ketune.report.style import GRID, INK, MUTED, Look, variables

SETTINGS = {
    "svg.fonttype": "none",  # text stays text: it can be selected and searched
    "svg.hashsalt": "ketune",  # element ids are then the same in every process
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED[1],
    "axes.labelcolor": INK[1],
    "axes.titlecolor": INK[1],
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "text.color": INK[1],
    "xtick.color": MUTED[1],
    "ytick.color": MUTED[1],
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "grid.color": GRID[1],
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.6,
    "text.parse_math": False,  # a dollar in a name is a dollar
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


@dataclass(frozen=True)
class Drawing:
    """A finished figure: its file's stem, what it shows in words (for screen readers too), and the SVG."""

    name: str
    caption: str
    svg: str


@contextmanager
def canvas(
    width: float, height: float, rows: int = 1, columns: int = 1, **more: Any
) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure of `rows` × `columns` panels, in inches, closed again at the end; panels in reading order."""
    with matplotlib.rc_context():
        seaborn.set_theme(context="paper", style="ticks", rc=SETTINGS)
        figure, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False, layout="constrained", **more)
        try:
            yield figure, list(axes.flat)
        finally:
            plt.close(figure)


@contextmanager
def grid(count: int, width: float, margin: float, each: float, **more: Any) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure of `count` panels, at most four in a row: in inches, rows are `each` high, with `margin` beside them."""
    columns = min(4, count)
    rows = math.ceil(count / columns)
    with canvas(width, margin + each * rows, rows, columns, **more) as (figure, axes):
        for panel in axes[count:]:
            panel.set_visible(False)
        for panel in axes[count - columns : count]:  # the last of its column, even above a place that stays empty
            panel.tick_params(labelbottom=True)
        yield figure, axes[:count]


def finish(figure: Figure, name: str, caption: str) -> Drawing:
    """The figure as SVG without date or creator: same input, same bytes."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Title": caption})
    return Drawing(name, caption, buffer.getvalue())


def inline(drawing: Drawing) -> str:
    """The SVG for the page: ids unique in the page, colours as CSS variables, its size left to the page."""
    svg = drawing.svg[drawing.svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{drawing.name}-\1"', svg)
    svg = re.sub(r'(url\(|xlink:href=")#([^)"]+)', rf"\1#{drawing.name}-\2", svg)
    for name, light, _ in variables():
        svg = svg.replace(light, f"var(--{name})")
    head, body = svg.split(">", 1)
    view = re.search(r'viewBox="[^"]+"', head)
    width = re.search(r'width="([\d.]+)pt"', head)
    if view is None or width is None:
        raise RuntimeError(f"{drawing.name}: matplotlib's SVG header has changed: {head[:200]}")
    pixels = round(float(width.group(1)) * 4 / 3)
    size = f'style="width:{pixels}px"'
    return f'<svg {view.group(0)} {size} role="img" aria-labelledby="{drawing.name}-caption" focusable="false">{body}'


def points(axes: Axes, frame: pd.DataFrame, x: str, y: str, looks: Mapping[str, Look], size: float = 7.5) -> None:
    """A marker for each row of (method, x, y), in its method's look, `size` points wide."""
    seaborn.scatterplot(
        frame, x=x, y=y, hue="method", palette={method: look.face for method, look in looks.items()},
        style="method", markers={method: look.marker for method, look in looks.items()},
        edgecolor=[looks[method].colour for method in frame["method"]], linewidth=1.5,
        s=size**2, zorder=4, legend=False, ax=axes,
    )  # fmt: skip


def label_at_edge(axes: Axes, frame: pd.DataFrame, x: str, y: str, looks: Mapping[str, Look]) -> None:
    """Write the title of each row of (method, title, x, y) right of the panel, joined to its point by a thin line.

    Points may crowd as they like: labels keep their order and are moved apart just enough not to touch.
    """
    axes.figure.canvas.draw()  # settles the transforms
    bottom, top = axes.transAxes.transform([(0, 0), (0, 1)])[:, 1]
    pixels = axes.transData.transform(frame[[x, y]])[:, 1]
    rows = frame.assign(height=(pixels - bottom) / (top - bottom)).sort_values("height", kind="stable")
    gap = 9 * 1.35 * axes.figure.dpi / 72 / (top - bottom)
    line = {"arrowstyle": "-", "color": MUTED[1], "linewidth": 0.5, "alpha": 0.6, "shrinkA": 4, "shrinkB": 5}
    for row, height in zip(rows.to_dict("records"), apart(rows["height"], gap), strict=True):
        look = looks[row["method"]]
        axes.annotate("", (row[x], row[y]), xytext=(1.03, height), textcoords="axes fraction", annotation_clip=False,
                      arrowprops=line, zorder=2)  # fmt: skip
        axes.plot([1.03], [height], look.marker, color=look.colour, markerfacecolor=look.face, markersize=5,
                  markeredgewidth=1.1, transform=axes.transAxes, clip_on=False)  # fmt: skip
        axes.text(1.055, height, row["title"], transform=axes.transAxes, fontsize=9, va="center", ha="left")


def apart(heights: Iterable[float], gap: float) -> list[float]:
    """Ascending heights from 0 to 1, moved as little as clusters allow, so that neighbours keep `gap`."""
    clusters: list[tuple[float, int]] = []  # (centre, members)
    for height in heights:
        clusters.append((height, 1))
        while len(clusters) > 1 and clusters[-1][0] - clusters[-2][0] < gap * (clusters[-1][1] + clusters[-2][1]) / 2:
            (b, n), (a, m) = clusters.pop(), clusters.pop()
            clusters.append(((a * m + b * n) / (m + n), m + n))
    placed = [centre + gap * (i - (count - 1) / 2) for centre, count in clusters for i in range(count)]
    shift = max(0.0, gap / 2 - placed[0]) if placed else 0.0
    return [height + shift for height in placed]


def cost_axis(axes: Axes, values: pd.Series) -> None:
    """A log axis where the values span more than a factor of 5, else a linear one; ticks in plain numbers."""
    low, high = values.min(), values.max()
    if high > 5 * low:
        axes.set_xscale("log")
        decades = math.log10(high / low)
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if decades > 2.5 else (1.0, 2.0, 5.0)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))


def short(value: float) -> str:
    """A number as a tick shows it: 1.5k, 20M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
