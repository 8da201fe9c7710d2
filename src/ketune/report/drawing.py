"""What all figures share: the canvas, direct labels that keep apart, and SVG text that is the same bytes every time."""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from ketune.report.style import GRID, INK, MUTED, Look, variables  # noqa: E402

SETTINGS = {
    "svg.fonttype": "none",  # text stays text: it can be selected and searched
    "svg.hashsalt": "ketune",  # element ids are then the same in every process
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED[1],
    "axes.labelcolor": INK[1],
    "axes.titlecolor": INK[1],
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "text.color": INK[1],
    "xtick.color": MUTED[1],
    "ytick.color": MUTED[1],
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "grid.color": GRID[1],
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.6,
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
def canvas(width: float, height: float, rows: int = 1, columns: int = 1, **more: object) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure of `rows` × `columns` panels, in inches, closed again at the end; panels in reading order."""
    with matplotlib.rc_context(SETTINGS):
        figure, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False, layout="constrained", **more)
        try:
            yield figure, list(axes.flat)
        finally:
            plt.close(figure)


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
    size = f'style="width:{pixels}px" data-width="{pixels}"'
    return f'<svg {view.group(0)} {size} role="img" aria-labelledby="{drawing.name}-caption" focusable="false">{body}'


def point(axes: Axes, x: float, y: float, look: Look, size: float = 7.5, **more: object) -> None:
    """One marker in a method's look."""
    axes.plot([x], [y], look.marker, color=look.colour, markerfacecolor=look.face, markersize=size,
              markeredgewidth=1.5, linestyle="none", zorder=4, **more)  # fmt: skip


def label(axes: Axes, points: Sequence[tuple[float, float, str, str]], size: float = 9) -> None:
    """Write (x, y, text, colour) beside its point, each where it covers least of points and other labels.

    Deterministic and greedy: the candidates are eight directions at two distances.
    """
    axes.figure.canvas.draw()
    renderer = axes.figure.canvas.get_renderer()  # type: ignore[attr-defined]
    frame = axes.get_window_extent(renderer)
    dots = [axes.transData.transform((x, y)) for x, y, _, _ in points]
    taken: list[tuple[float, float, float, float]] = [(px - 7, py - 7, px + 7, py + 7) for px, py in dots]
    unit = axes.figure.dpi / 72
    for (x, y, text, colour), (px, py) in zip(points, dots, strict=True):
        probe = axes.text(0, 0, text, fontsize=size)
        extent = probe.get_window_extent(renderer)
        probe.remove()
        options = [_box(px, py, extent.width, extent.height, dx * unit, dy * unit) for dx, dy in OFFSETS]
        costs = [_cost(box, taken, frame) + 0.5 * i for i, (box, _) in enumerate(options)]
        (box, (dx, dy)) = options[costs.index(min(costs))]
        taken.append(box)
        axes.annotate(text, (x, y), xytext=((box[0] - px) / unit, (box[1] - py) / unit), textcoords="offset points",
                      fontsize=size, color=colour, ha="left", va="bottom", zorder=5,
                      arrowprops=_leader(dx, dy, unit))  # fmt: skip


OFFSETS = [(8, 0), (-8, 0), (0, 9), (0, -9), (8, 9), (8, -9), (-8, 9), (-8, -9),
           (16, 18), (16, -18), (-16, 18), (-16, -18), (0, 22), (0, -22), (24, 30), (24, -30), (-24, 30), (-24, -30)]  # fmt: skip


def _leader(dx: float, dy: float, unit: float) -> dict[str, object] | None:
    """A thin line to the point where the label stands far from it."""
    far = abs(dx) + abs(dy) > 20 * unit
    return {"arrowstyle": "-", "color": MUTED[1], "linewidth": 0.6, "shrinkA": 0, "shrinkB": 4} if far else None


Box = tuple[float, float, float, float]


def _box(px: float, py: float, width: float, height: float, dx: float, dy: float) -> tuple[Box, tuple[float, float]]:
    left = px + dx if dx > 0 else px + dx - width if dx < 0 else px - width / 2
    low = py + dy if dy > 0 else py + dy - height if dy < 0 else py - height / 2
    return (left, low, left + width, low + height), (dx, dy)


def _cost(box: Box, taken: Sequence[Box], frame: object) -> float:
    """Covered area, and ten times what leaves the panel."""
    left, low, right, high = box
    covered = sum(
        max(0.0, min(right, r) - max(left, a)) * max(0.0, min(high, h) - max(low, b)) for a, b, r, h in taken
    )
    x0, y0, x1, y1 = frame.x0, frame.y0, frame.x1, frame.y1  # type: ignore[attr-defined]
    outside = max(0.0, x0 - left) + max(0.0, right - x1 - 60) + max(0.0, y0 - low) + max(0.0, high - y1)
    return covered + 10 * outside
