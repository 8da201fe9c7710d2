"""The page: tables, drawings and samples into one HTML file that asks no network for anything.

It knows how the page is put together. What the page says is computed elsewhere.
"""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from matplotlib.markers import MarkerStyle

from ketune.report import drawing
from ketune.report.browser import script_json
from ketune.report.results import Results
from ketune.report.style import Look, Looks, variables

FOLDER = Path(__file__).parent
SCRIPTS = ("page.js", "explorer.js")
PLAIN = {"page": ("#ffffff", "#111418"), "line": ("#e3e6ea", "#2a3038"), "edge": ("#b9c0c9", "#4b535e"),
         "raised": ("#f6f7f9", "#1a1e24"), "link": ("#0b62a8", "#6cb8f0"), "good": ("#00704f", "#46cfa4"),
         "bad": ("#b0281a", "#ff7c6e")}  # fmt: skip


def render(
    results: Results,
    parts: Mapping[str, Any],
    looks: Looks,
    samples: Mapping[str, Any] | None,
    digest: str,
) -> str:
    """The whole page, which names the results that it shows by their digest; without samples it holds no record.

    All text is escaped; only our own CSS, script, SVG and escaped JSON go in as they are.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    script = "".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)
    css = colours() + (FOLDER / "page.css").read_text(encoding="utf-8")
    environment.globals["inline"] = lambda drawn: Markup(drawing.inline(drawn))
    environment.globals["glyphs"] = {method: Markup(glyph(look)) for method, look in looks.items()}
    return environment.get_template("page.html.j2").render(
        parts=parts,
        methods=[(method, results.title(method)) for method in results.methods],
        css=Markup(css),
        script=Markup(script),
        policy=policy(script),
        digest=digest,
        explorer=script_json(parts["explorer"]),
        samples=None if samples is None else script_json(samples),
    )


def policy(script: str) -> str:
    """A content security policy that allows this script, inline styles, and nothing from anywhere."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def colours() -> str:
    """The colours of page and figures as CSS variables, for light and for dark."""
    everything = [*variables(), *((name, *pair) for name, pair in PLAIN.items())]
    light = " ".join(f"--{name}: {value};" for name, value, _ in everything)
    dark = " ".join(f"--{name}: {value};" for name, _, value in everything)
    return (
        f':root {{ {light} }}\n:root[data-theme="dark"] {{ {dark} }}\n'
        f'@media (prefers-color-scheme: dark) {{ :root:not([data-theme="light"]) {{ {dark} }} }}\n'
    )


def glyph(look: Look) -> str:
    """A method's marker as a small SVG, from the same path that figures draw."""
    marker = MarkerStyle(look.marker)
    path = marker.get_path().transformed(marker.get_transform())
    letters = {1: "M", 2: "L", 3: "Q", 4: "C", 79: "Z"}
    parts = []
    for points, code in path.iter_segments(simplify=False):
        shown = [] if code == 79 else [f"{x * 12:.2f} {-y * 12:.2f}" for x, y in points.reshape(-1, 2)]
        parts.append(letters[int(code)] + " ".join(shown))
    names = {light: name for name, light, _ in variables()}
    colour = f"var(--{names[look.colour]})"
    fill = "none" if look.hollow else colour
    return (
        f'<svg class="glyph" viewBox="-8 -8 16 16" aria-hidden="true"><path d="{"".join(parts)}" fill="{fill}" '
        f'stroke="{colour}" stroke-width="2"/></svg>'
    )
