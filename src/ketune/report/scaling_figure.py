"""Parameters against width: Quantum-PEFT beside LoRA, and what QTHA saves of LoRA at which rank and bond."""

import itertools
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from ketune.report import counting, drawing
from ketune.report.drawing import Drawing
from ketune.report.results import Results
from ketune.report.style import MUTED, SHADES

DASHES = dict(zip(counting.BONDS, ("-", "--", ":"), strict=True))
COLOURS = dict(
    zip(counting.RANKS, (SHADES[family][0][1] for family in ("quantum", "classical", "control")), strict=True)
)
LOWEST = -100  # per cent; below, QTHA has more than twice LoRA's parameters


def scans(results: Results) -> list[Drawing]:
    """The scans of the methods that ran."""
    sections = results.settings.sections
    draw = {"quantum_peft": lambda: growth(sections["quantum_peft"]), "qtha": savings}
    return [draw[method]() for method in results.methods if method in draw]


def growth(section: Mapping[str, Any]) -> Drawing:
    """Quantum-PEFT's parameters beside one square map, with the settings of a section, and LoRA's."""
    lines = {
        f"Quantum-PEFT, rank {section['rank']}": (counting.quantum_peft(section), SHADES["quantum"][0][1], "-"),
        "LoRA, rank 1": ([counting.lora(width, 1) for width in counting.WIDTHS], SHADES["classical"][0][1], "--"),
    }
    with drawing.canvas(5.6, 3.9) as (figure, (axes,)):
        for label, (counts, colour, dash) in lines.items():
            axes.plot(counting.WIDTHS, counts, dash, color=colour, marker="o", markersize=4, label=label)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: drawing.short(value)))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylabel("trained parameters beside one map")
        axes.legend(frameon=False, fontsize=8)
        _widths(axes)
        caption = (
            "Quantum-PEFT at this study's setting and LoRA of rank 1 beside one square map, by closed form: with the "
            "logarithm of the width the one grows by steps of equal size, the other in proportion to the width."
        )
        return drawing.finish(figure, "parameters_against_width", caption)


def savings() -> Drawing:
    """What QTHA saves of LoRA's parameters, with an inner width that grows and with that of the released code."""
    found = counting.savings()
    with drawing.canvas(9.6, 3.9, 1, 2, sharey=True) as (figure, panels):
        for panel, grows in zip(panels, (True, False), strict=True):
            for rank, bond in itertools.product(counting.RANKS, counting.BONDS):
                saved = [100 * found[width, rank, bond, grows] for width in counting.WIDTHS]
                panel.plot(counting.WIDTHS, saved, DASHES[bond], color=COLOURS[rank], marker="o", markersize=3,
                           label=f"rank {rank}, bond {bond}")  # fmt: skip
            panel.axhline(100 * counting.SAVED, color=MUTED[1], lw=1)
            panel.set(ylim=(LOWEST, 105), title="inner width as here" if grows else "inner width 256, as released")
            _widths(panel)
        panels[0].set_ylabel("saved of LoRA's parameters, %")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=8)
        caption = (
            "What QTHA saves of LoRA's parameters beside one square map at equal rank, by closed form. The level line "
            "is the published 76 %; below 0 QTHA has more parameters than LoRA."
        )
        return drawing.finish(figure, "saving_against_width", caption)


def _widths(axes: Axes) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(counting.WIDTHS[::2])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("width")
    axes.grid(axis="y")
