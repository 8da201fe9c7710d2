"""What each seed says: the losses of every run, and how often a method wins a paired seed."""

import numpy as np

from ketune import statistics
from ketune.report import cells
from ketune.report.cells import Cell, Table, numeral
from ketune.report.comparisons import Judgement, shown
from ketune.report.results import Results


def losses(results: Results, judgement: Judgement) -> Table | None:
    """Held-out loss of every run; None with one seed, where the table of quality shows it."""
    by_seed, seeds = judgement.panels["loss"].by_seed, results.settings.seeds
    if len(seeds) < 2:
        return None
    rows = [
        {"Method": Cell(results.title(method), method=method)}
        | {f"Seed {seed}": numeral(float(loss), 4) for seed, loss in zip(seeds, by_seed[method], strict=True)}
        | {"Deviation": numeral(float(np.std(by_seed[method], ddof=1)), 4)}
        for method in results.methods
    ]
    caption = (
        "Held-out loss of every run, in nats per token, and its standard deviation over seeds. A seed draws the order "
        "of the training records and all that a method draws: its start, its angles, its fixed maps."
    )
    return cells.table("seeds", caption, rows)


def pairs(results: Results, judgement: Judgement) -> Table | None:
    """The comparisons of the verdict table on held-out loss, seed by seed; None with one seed."""
    panel, seeds = judgement.panels["loss"], results.settings.seeds
    if len(seeds) < 2:
        return None
    rows = []
    for one in (one for one in shown(results, judgement) if one.metric == "loss"):
        gaps = panel.by_seed[one.method] - panel.by_seed[one.other]
        by_seed = {f"Seed {seed}": numeral(float(gap), 4, signed=True) for seed, gap in zip(seeds, gaps, strict=True)}
        rows.append({
            "Method": Cell(results.title(one.method), method=one.method),
            "Against": Cell(results.title(one.other), method=one.other),
            "Seeds won": numeral(statistics.seeds_won(panel, one.method, one.other), 2),
            "Correlation": numeral(statistics.agreement(panel, one.method, one.other), 2),
            **by_seed,
        })  # fmt: skip
    caption = (
        "The difference in held-out loss seed by seed (below 0 the method is better), the share of seeds that it wins, "
        "and the correlation of the two methods' losses over seeds: what goes up and down together, pairing takes out."
    )
    return cells.table("seed_pairs", caption, rows)
