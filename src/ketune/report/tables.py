"""The tables: results in, cells out. Words of judgement come from the statistics alone."""

import pandas as pd

from ketune import methods, metrics
from ketune.report import cuts, moved
from ketune.report.cells import Cell, Table, interval, number, numeral, probability, table
from ketune.report.comparisons import Judgement, Pairwise
from ketune.report.results import Results
from ketune.statistics import Verdict

MARKS = {"better": "better", "worse": "worse", "comparable": "comparable", "not distinguishable": "open"}
# column → (measured, unit, digits)
MEASURED = {"Seconds": ("wall_seconds", 1, 1), "Tokens/s": ("tokens_per_second", 1, 0),
            "Peak MiB": ("peak_memory_bytes", 2**20, 0), "Joules": ("energy_joules", 1, 0)}  # fmt: skip


def verdict(results: Results, judgement: Judgement) -> Table | None:
    """Each comparison of the study on held-out loss: the word, and all that it rests on."""
    report, void = results.settings.report, moved.void(results)
    rows = []
    for (method, other), found in judgement.verdicts.items():
        stood_still = method in void or other in void
        note = interval(found.low, found.high, 3, signed=True)
        rows.append({
            "Method": Cell(results.title(method), method=method),
            "Against": Cell(results.title(other), method=other, note=methods.declared(other).isolates),
            "Verdict": Cell("void", mark="open") if stood_still else Cell(found.word, mark=MARKS[found.word]),
            "Difference": numeral(found.difference, 3, signed=True, note=note),
            "Adjusted p": probability(found.adjusted_p), "Detectable": numeral(found.detectable, 3),
            "Seeds": numeral(found.seeds, 0), "References": numeral(found.prompts, 0),
        })  # fmt: skip
    caption = (
        f"Held-out loss, method less opponent (below 0 is better), {100 * report.confidence:g} % interval, paired by "
        f"seed and reference text, p corrected over this table (Holm). Comparable: within ±{report.margin:g} nats per "
        "token. Detectable: the smallest true difference that would be found four times in five, estimated without "
        "that correction."
    )
    if void:
        caption += " Void: a part of one of the two that was to learn stood still."
    return table("verdict", caption, rows)


def other_verdicts(results: Results, found: dict[str, dict[tuple[str, str], Verdict]]) -> Table | None:
    """The same comparisons on the other metrics, against the reference and the matched LoRA."""
    rows = []
    for method, other in next(iter(found.values())):
        named = {column: Cell(results.title(m), method=m) for column, m in (("Method", method), ("Against", other))}
        for metric in (metric for metric in metrics.every() if metric.key in found):
            cut = cuts.touch(results, metric, method, other)
            judged = _judged(found[metric.key][method, other], metric.digits, silent=cut)
            named[metric.heading] = cuts.marked(results, judged, metric, method, other)
        rows.append(named)
    caption = (
        "The other metrics: method less opponent with its interval; the word better or worse only where the test, "
        "corrected within a metric (Holm), says so."
    )
    return table("verdict_other_metrics", caption + cuts.footnote(results), rows)


def _judged(found: Verdict, digits: int, *, silent: bool) -> Cell:
    note = interval(found.low, found.high, digits, signed=True)
    text = number(found.difference, digits, signed=True)
    if silent or found.word not in ("better", "worse"):
        return Cell(text, found.difference, note, "open")
    return Cell(f"{text} {found.word}", found.difference, note, MARKS[found.word])


def quality(results: Results, intervals: pd.DataFrame, best: dict[str, str]) -> Table | None:
    """Every metric of every method with its interval; bold only where the paired test separates it from all others."""
    rows = []
    for method in results.methods:
        row = {"Method": Cell(results.title(method), method=method)}
        row["Trained parameters"] = numeral(results.trainable(method), 0)
        cut, answers = cuts.counted(results, method)
        row["Cut, %"] = numeral(100 * cut / answers, 0)
        for metric in metrics.every():
            low, high = intervals.loc[(method, metric.key), ["low", "high"]]
            note = interval(low, high, metric.digits)
            mark = "best" if best.get(metric.key) == method else ""
            cell = numeral(results.mean(method, metric.key), metric.digits, note=note, mark=mark)
            row[metric.heading] = cuts.marked(results, cell, metric, method)
        rows.append(row)
    caption = (
        f"Mean over seeds with {100 * results.settings.report.confidence:g} % interval. Cut: the share of answers that "
        "the model did not end itself. Bold: better than every other method by the paired test, corrected."
    )
    return table("quality", caption + cuts.footnote(results), rows)


def signatures(results: Results) -> list[tuple[str, str]]:
    """How each metric was computed, the same way in every run."""
    scores = results.of(results.methods[0])[0].scores.metrics
    return [(metric.title, scores[metric.key].signature) for metric in metrics.every()]


def costs(results: Results, comparable: bool) -> Table | None:
    """What training cost: medians over seeds with their range, for machines that are the same."""
    spread = results.frame.groupby("method", sort=False).agg(["median", "min", "max"])
    rows = []
    for method in results.methods:
        run = results.of(method)[0].training
        row = {
            "Method": Cell(results.title(method), method=method),
            "Trained parameters": numeral(results.trainable(method), 0),
            "With gradient": numeral(run.parameters.receiving, 0),
            "Adapter, KiB": numeral(run.adapter_bytes / 1024, 0),
        }
        for column, (key, unit, digits) in MEASURED.items():
            row[column] = _range(spread.loc[method, key] / unit, digits)
        rows.append(row)
    caption = "What training cost: median over seeds, lowest to highest below." + (
        "" if comparable else " The runs used different machines: seconds, memory and joules cannot be compared."
    )
    return table("costs", caption, rows)


def _range(found: pd.Series, digits: int) -> Cell:
    several = found["min"] < found["max"]
    note = f"{number(found['min'], digits)} to {number(found['max'], digits)}" if several else ""
    return numeral(found["median"], digits, note=note)


def pairwise(results: Results, found: Pairwise) -> Table | None:
    """Probability that the row beats the column on a prompt; coloured where the corrected test separates the pair."""
    rows = []
    for row in results.methods:
        others = {results.title(m): Cell("–") if m == row else _versus(found, row, m) for m in results.methods}
        rows.append({"": Cell(results.title(row), method=row)} | others)
    caption = (
        "Held-out loss: probability that the row's method beats the column's on a reference text, same seed, a tie "
        "being half a win. Coloured where the corrected test separates the two (Holm, over all pairs)."
    )
    if any(verdict.seeds_missing for verdict in found.verdicts.values()):
        caption += " With fewer than three seeds that holds for these very runs, not for the methods."
    return table("pairwise", caption, rows)


def _versus(found: Pairwise, row: str, column: str) -> Cell:
    direct = (row, column) in found.verdicts
    word: str = found.verdicts[(row, column) if direct else (column, row)].word
    swapped = {"better": "worse", "worse": "better"}
    word = word if direct else swapped.get(word, word)
    mark = MARKS[word] if word in swapped else ""
    return numeral(found.improvement[row, column], 2, mark=mark)
