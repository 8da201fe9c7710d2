"""What arXiv:2509.16244 published (`ketune.published`), row by row, beside what this run measured."""

from dataclasses import dataclass

from ketune import methods, metrics
from ketune.ground.params import Params
from ketune.published import ANSWERS, BACKBONE, BACKBONE_PARAMETERS, DATASET, METRICS, ROWS, SOURCE, STEPS
from ketune.report import cells, cuts
from ketune.report.cells import Cell, Table, numeral
from ketune.report.results import Results


@dataclass(frozen=True)
class Match:
    """One condition of the paper and whether this run meets it."""

    what: str
    published: str
    ours: str
    meets: bool

    @property
    def word(self) -> str:
        """same or differs."""
        return "same" if self.meets else "differs"


def matches(results: Results) -> list[Match]:
    """Backbone, data and budget: the paper's, ours, and whether they are the same."""
    settings = results.settings
    base = backbone_parameters(results)
    data = data_name(settings)
    return [
        Match("Backbone", f"{BACKBONE}, {BACKBONE_PARAMETERS:,} parameters",
              f"{settings.language_model.name}, {base:,} parameters", base == BACKBONE_PARAMETERS),
        Match("Data", DATASET, data, settings.data.hub == DATASET),
        Match("Optimiser steps", f"{STEPS:,}", f"{settings.train.steps:,}", settings.train.steps == STEPS),
        Match("Answers scored", str(ANSWERS), str(settings.generate.prompts), settings.generate.prompts == ANSWERS),
        Match("Seeds", "1", str(len(settings.seeds)), len(settings.seeds) == 1),
    ]  # fmt: skip


def backbone_parameters(results: Results) -> int:
    """Parameters of the frozen model: the total of a run less what the method added (nothing for base and full)."""
    totals = {method: results.of(method)[0].training.parameters for method in results.methods}
    for method in ("base", "full"):
        if method in totals:
            return totals[method].total
    return min(counts.total - counts.trainable for counts in totals.values())


def data_name(settings: Params) -> str:
    """The data as the params name it."""
    if settings.data.hub is not None:
        return f"{settings.data.hub} at {settings.data.revision}"
    return settings.data.source


def sizes(results: Results) -> Table | None:
    """Table 1 of the paper beside ours: trainable parameters and their share."""
    base = backbone_parameters(results)
    rows = []
    for method in (m for m in results.methods if m in ROWS):
        row, ours = ROWS[method], results.trainable(method)
        rows.append({
            "Method": Cell(results.title(method), note=row.remark, method=method),
            "Published": numeral(row.parameters, 0), "Ours": numeral(ours, 0),
            "Difference": numeral(ours - row.parameters, 0, signed=True),
            "Published, %": numeral(row.ratio, 2), "Ours, %": numeral(100 * ours / base, 2),
        })  # fmt: skip
    return cells.table("paper_table1", f"Trainable parameters: Table 1 of {SOURCE} beside this run.", rows)


def scores(results: Results) -> Table | None:
    """Table 3 of the paper beside ours: every published number, ours and the difference."""
    rows = []
    for method in (m for m in results.methods if m in ROWS):
        for (key, title), published in zip(METRICS.items(), ROWS[method].scores, strict=True):
            ours = results.mean(method, key)
            rows.append({
                "Method": Cell(results.title(method), method=method), "Metric": Cell(title),
                "Published": numeral(published, 2),
                "Ours": cuts.marked(results, numeral(ours, 2), metrics.named(key), method),
                "Difference": numeral(None if key == "bertscore" else ours - published, 2, signed=True),
            })  # fmt: skip
    caption = (
        f"Scores: Table 3 of {SOURCE} beside this run. BERTScores have no difference: the paper does not name its "
        f"model, and those of two models do not compare.{cuts.footnote(results)}"
    )
    return cells.table("paper_table3", caption, rows)


def conditions(results: Results) -> Table | None:
    """The paper's conditions beside ours."""
    rows = [
        {"Condition": Cell(m.what), "Published": Cell(m.published), "Ours": Cell(m.ours), "": Cell(m.word, mark=m.word)}
        for m in matches(results)
    ]
    return cells.table("paper_conditions", f"Conditions of {SOURCE} beside this run.", rows)


def tables(results: Results) -> list[Table | None]:
    """Conditions, Table 1 and Table 3, ours beside the published."""
    return [conditions(results), sizes(results), scores(results)]


def warning(results: Results) -> str:
    """One sentence on what the comparison is worth."""
    differing = [match.what.lower() for match in matches(results) if not match.meets and match.what != "Seeds"]
    if not differing:
        return (
            "Backbone, data and budget are the paper's; it does not state learning rates, batch, prompt and decoding."
        )
    if any(methods.departures(method, results.settings.sections[method]) for method in results.methods):
        differing.append("and the methods, by the departures that are listed below")
    return f"This is no replication, and the numbers are not expected to agree; what differs: {', '.join(differing)}."
