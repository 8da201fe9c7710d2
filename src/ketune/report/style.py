"""One look for each method, the same in every figure: colour by family, marker by method, hollow for a control.

Colours follow Okabe and Ito's set, which stays distinct under colour-blindness, and have a partner for dark pages: in
the page they become CSS variables, in the files that papers include they are plain.
"""

import math
from dataclasses import dataclass

from ketune.report.results import Results

# family → shades as (CSS variable, on light, on dark)
SHADES = {
    "reference": (("reference-1", "#646a73", "#aab1bb"), ("reference-2", "#8b919a", "#868d98")),
    "classical": (("classical-1", "#0072b2", "#4aa8e0"), ("classical-2", "#3596cf", "#8ccbf2"),
                  ("classical-3", "#1d4f91", "#7d9df0")),
    "quantum": (("quantum-1", "#d55e00", "#ff8b3d"), ("quantum-2", "#b0281a", "#ff6f61"),
                ("quantum-3", "#bb8100", "#f0bd4a")),
    "control": (("control-1", "#00795c", "#3fc9a0"), ("control-2", "#5b8c2a", "#9bd05f"),
                ("control-3", "#2f8f9d", "#6ad2df")),
}  # fmt: skip
INK = ("ink", "#1b1f25", "#e6e8eb")
MUTED = ("muted", "#5f6670", "#a3abb6")
GRID = ("grid", "#dfe2e6", "#353b44")
PANEL = ("panel", "#fffffe", "#15181c")
# the most distinct shapes first; filled ones are used once over all families but the controls, which are hollow
MARKERS = {"reference": "oh8H", "classical": "sD^v<>dp", "quantum": "PX*", "control": "osD^v<>*dpPX"}


@dataclass(frozen=True)
class Look:
    """How a method is drawn."""

    colour: str
    marker: str
    hollow: bool

    @property
    def face(self) -> str:
        """Fill of the marker."""
        return PANEL[1] if self.hollow else self.colour

    @property
    def line(self) -> str:
        """Dash pattern of lines: controls are dashed."""
        return "--" if self.hollow else "-"


Looks = dict[str, Look]
"""Method → its look."""


def looks(results: Results) -> Looks:
    """The look of every method; it depends on the method's rank within its family, in the order of the params."""
    found = {}
    for method in results.methods:
        family = results.family(method)
        shades, markers = SHADES[family], MARKERS[family]
        rank = results.in_family(family).index(method)
        turn = rank // math.lcm(len(shades), len(markers))  # of shades against markers, where each pair had its turn
        shade = shades[(rank + turn) % len(shades)][1]
        found[method] = Look(shade, markers[rank % len(markers)], family == "control")
    return found


def variables() -> list[tuple[str, str, str]]:
    """(CSS variable, colour on light, colour on dark) of everything that figures draw with."""
    return [*(shade for shades in SHADES.values() for shade in shades), INK, MUTED, GRID, PANEL]
