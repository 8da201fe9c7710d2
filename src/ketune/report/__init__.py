"""The report: what the runs show, as one page, as figures and tables for papers, and as files that DVC's commands read.

It reads what the stages left behind and needs no torch. Every word of judgement on the page is computed.
"""

from ketune.ground import files, layout
from ketune.ground.params import Params
from ketune.report import background, cells, contents, drawing, exports, page, results, style
from ketune.report.background import Background
from ketune.report.browser import samples


def write(settings: Params) -> results.Results:
    """Read all runs of the params and write everything under `reports/`.

    Raises:
        InputError: a run is missing or does not fit the others.
    """
    found = results.read(settings)
    looks = style.looks(found)
    parts = contents.compute(found, background.read(found), looks)
    exports.write_metrics(found)
    exports.write_curves(found)
    exports.write_scores(found, parts["intervals"])
    with files.replacing(layout.REPORTS / "tables") as folder:
        folder.mkdir()
        for table in contents.of_kind(parts, cells.Table):
            cells.write(table, folder)
    with files.replacing(layout.REPORTS / "figures") as folder:
        folder.mkdir()
        for figure in contents.of_kind(parts, drawing.Drawing):
            (folder / f"{figure.name}.svg").write_text(figure.svg, encoding="utf-8")
    shown = samples(found) if settings.report.show_samples else None
    digest = exports.digest({path: path.read_bytes() for path in exports.paths(settings.methods)})
    files.write_text(layout.REPORTS / "index.html", page.render(found, parts, looks, shown, digest))
    return found


def rendered(found: results.Results, beside: Background, digest: str) -> str:
    """The page alone, without samples."""
    looks = style.looks(found)
    parts = contents.compute(found, beside, looks)
    return page.render(found, parts, looks, None, digest)
