"""What arXiv:2509.16244 published, row by row, beside what this run measured.

Source: its Table 1 (parameters and ratio of 125,198,592) and Table 3 (scores over 100 generated answers). One run, no
seeds, no intervals; learning rates, batch size, prompt, decoding and BERTScore model are not stated there.
"""

from dataclasses import dataclass

from ketune import metrics
from ketune.ground.params import Params
from ketune.report import cells, cuts
from ketune.report.cells import Cell, Table, numeral
from ketune.report.results import Results

SOURCE = "arXiv:2509.16244"
BACKBONE = "EleutherAI/gpt-neo-125m"
BACKBONE_PARAMETERS = 125_198_592
DATASET = "tatsu-lab/alpaca"
STEPS = 1000
ANSWERS = 100


@dataclass(frozen=True)
class Published:
    """One method's row: trainable parameters, their printed share in %, and its scores in the order of METRICS."""

    parameters: int
    ratio: float
    scores: tuple[float, ...]
    remark: str = ""


ROWS = {
    "full": Published(125_198_592, 100.0, (12.19, 84.69, 20.39, 12.64, 20.25)),
    "lora": Published(147_456, 0.12, (3.45, 78.33, 13.60, 6.66, 10.57)),
    "sora": Published(125_337, 0.10, (0.67, 77.67, 7.43, 1.43, 5.41),
                      "BLEU is 2.67 and the share 0.09 % in the paper's text; no whole rank costs 125,337"),
    "prefix": Published(552_960, 0.44, (0.38, 58.29, 7.18, 1.82, 6.77)),
    "qaa": Published(123_000, 0.09, (2.96, 78.74, 15.01, 3.89, 13.55),
                     "30,720 of the 123,000 weights lie beyond the width of 768 and can receive no gradient"),
}  # fmt: skip
METRICS = {"bleu": "BLEU", "bertscore": "BERT-F1", "rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L"}


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
    verdicts = {match.what: match.word for match in matches(results)}
    shown = {"Backbone": "Backbone", "Data": "Data", "Steps": "Optimiser steps"}
    setting = {column: Cell(verdicts[what], mark=verdicts[what]) for column, what in shown.items()}
    for method in (m for m in results.methods if m in ROWS):
        for (key, title), published in zip(METRICS.items(), ROWS[method].scores, strict=True):
            ours = results.mean(method, key)
            rows.append({
                "Method": Cell(results.title(method), method=method), "Metric": Cell(title),
                "Published": numeral(published, 2),
                "Ours": cuts.marked(results, numeral(ours, 2), metrics.named(key), method),
                "Difference": numeral(None if key == "bertscore" else ours - published, 2, signed=True), **setting,
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
    return f"This is no replication, and the numbers are not expected to agree; what differs: {', '.join(differing)}."
