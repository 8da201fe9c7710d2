"""Validation loss against learning rate: a panel for each rate of each method that was tuned."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ketune.records.training import Search
from ketune.report import drawing, rates
from ketune.report.drawing import Drawing
from ketune.report.results import Results
from ketune.report.style import MUTED, Look

ABOVE = 0.15  # how far the panels reach above the untrained model, in parts of what the best trial gained


def validation_loss(results: Results, looks: Mapping[str, Look]) -> Drawing | None:
    """Every trial of every search; trials that failed stand as crosses at the upper edge."""
    searches = rates.searches(results)
    panels = [(method, rate) for method, search in searches.items() for rate in search.ranges]
    if not panels:
        return None
    with drawing.grid(len(panels), 10.4, 0.6, 2.0, sharey=True) as (figure, axes):
        low, high = _reach(list(searches.values()))
        for panel, (method, rate) in zip(axes, panels, strict=True):
            _panel(panel, searches[method], rate, results.tunings[method].rates[rate], looks[method], high)
            panel.set(title=f"{results.title(method)}: {rate}", ylim=(low, high))
        figure.supxlabel("learning rate", fontsize=10)
        figure.supylabel("validation loss, nats per token", fontsize=10)
        caption = (
            "Validation loss against learning rate, over the range that was searched: filled marks are trials on the "
            "first seed, hollow ones their repeats on the second, crosses at the upper edge trials that diverged or "
            "ended above it. The vertical line is the rate that won, the dashed line the untrained model. Where a "
            "method has two rates, each panel shows every trial, so the other rate scatters the marks."
        )
        return drawing.finish(figure, "validation_loss_against_rate", caption)


def _reach(searches: list[Search]) -> tuple[float, float]:
    """The common lower and upper end of the loss axes."""
    found = [trial.loss for search in searches for trial in search.trials if trial.loss is not None]
    untrained = max(search.untrained for search in searches)
    gain = max(untrained - min(found), 1e-3)
    return min(found) - 0.05 * gain, untrained + ABOVE * gain


def _panel(panel: Axes, search: Search, rate: str, won: float, look: Look, top: float) -> None:
    panel.set_xscale("log")
    panel.set_xlim(*search.ranges[rate])
    panel.xaxis.set_major_locator(LogLocator(numticks=5))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.axhline(search.untrained, color=MUTED[1], lw=1, ls="--")
    panel.axvline(won, color=look.colour, lw=1, alpha=0.6)
    first = search.trials[0].seed
    for trial in search.trials:
        where = trial.rates[rate]
        if trial.loss is None or trial.loss > top:
            panel.plot([where], [top], "x", color=look.colour, clip_on=False, markersize=6)
        else:
            face = look.colour if trial.seed == first else "none"
            panel.plot([where], [trial.loss], look.marker, color=look.colour, markerfacecolor=face, markersize=5)
    panel.grid(axis="y")
