"""The tables: results in, cells out. Words of judgement come from the statistics alone."""

from ketune.report.cells import Cell, Table, interval, number, numeral
from ketune.report.comparisons import ISOLATES, Judgement, Pairwise
from ketune.report.metrics import BY_KEY, METRICS
from ketune.report.results import Results
from ketune.statistics import Interval, Verdict

Intervals = dict[tuple[str, str], Interval]
MARKS = {"better": "better", "worse": "worse", "comparable": "comparable", "not distinguishable": "open"}


def verdict(results: Results, judgement: Judgement) -> Table:
    """Each comparison of the study on held-out loss: the word, and all that it rests on."""
    report = results.settings.report
    rows = []
    for (method, other), found in judgement.verdicts.items():
        rows.append((
            Cell(results.title(method), method=method),
            Cell(results.title(other), method=other, note=ISOLATES.get(other, "")),
            Cell(found.word, mark=MARKS[found.word]),
            numeral(found.difference, 3, signed=True, note=interval(found.low, found.high, 3, signed=True)),
            _p(found.adjusted_p), numeral(found.detectable, 3), numeral(found.seeds, 0), numeral(found.prompts, 0),
        ))  # fmt: skip
    columns = ("Method", "Against", "Verdict", "Difference", "Adjusted p", "Detectable", "Seeds", "References")
    caption = (
        f"Held-out loss, method less opponent (below 0 is better), {100 * report.confidence:g} % interval, paired by "
        f"seed and reference text, p corrected over this table (Holm). Comparable: within ±{report.margin:g} nats per "
        "token. Detectable: the smallest true difference that would be found four times in five."
    )
    return Table("verdict", caption, columns, tuple(rows))


def other_verdicts(results: Results, found: dict[str, dict[tuple[str, str], Verdict]]) -> Table | None:
    """The same comparisons on the other metrics, against the reference and the matched LoRA."""
    keys = [key for key, judged in found.items() if judged]
    if not keys:
        return None
    rows = []
    for method, other in found[keys[0]]:
        cells = [_judged(found[key][method, other], BY_KEY[key].digits) for key in keys]
        rows.append((Cell(results.title(method), method=method), Cell(results.title(other), method=other), *cells))
    caption = (
        "The other metrics: method less opponent with its interval; the word better or worse only where the test, "
        "corrected within a metric (Holm), says so."
    )
    columns = ("Method", "Against", *(_heading(key) for key in keys))
    return Table("verdict_other_metrics", caption, columns, tuple(rows))


def _judged(found: Verdict, digits: int) -> Cell:
    note = interval(found.low, found.high, digits, signed=True)
    text = number(found.difference, digits, signed=True)
    word = f" {found.word}" if found.word in ("better", "worse") else ""
    return Cell(text + word, found.difference, note, MARKS[found.word])


def _p(value: float) -> Cell:
    return Cell("< 0.001" if value < 0.001 else number(value, 3), value)


def _heading(key: str) -> str:
    metric = BY_KEY[key]
    return f"{metric.title} {'↓' if metric.lower_is_better else '↑'}"


def quality(results: Results, intervals: Intervals, best: dict[str, str]) -> Table:
    """Every metric of every method with its interval; bold only where the paired test separates it from all others."""
    report = results.settings.report
    rows = []
    for method in results.methods:
        cells = []
        for metric in METRICS:
            found = intervals[method, metric.key]
            note = interval(found.low, found.high, metric.digits)
            mark = "best" if best.get(metric.key) == method else ""
            cells.append(numeral(results.mean(method, metric.key), metric.digits, note=note, mark=mark))
        rows.append((Cell(results.title(method), method=method), numeral(results.trainable(method), 0), *cells))
    caption = (
        f"Mean over seeds with {100 * report.confidence:g} % interval. Bold: better than every other method by the "
        "paired test, corrected."
    )
    columns = ("Method", "Trained parameters", *(_heading(metric.key) for metric in METRICS))
    return Table("quality", caption, columns, tuple(rows))


def signatures(results: Results) -> list[tuple[str, str]]:
    """How each metric was computed; runs that differ are all named."""
    found: dict[str, dict[str, None]] = {}
    for run in results.runs.values():
        for metric, signature in run.scores["signatures"].items():
            found.setdefault(metric, {})[signature] = None
    return [(BY_KEY[key].title if key in BY_KEY else key, "; ".join(texts)) for key, texts in found.items()]


def costs(results: Results, comparable: bool) -> Table:
    """What training cost: medians over seeds with their range, for machines that are the same."""
    rows = []
    for method in results.methods:
        run = results.of(method)[0].cost
        receiving = run["parameters"]["receiving"]
        rows.append((
            Cell(results.title(method), method=method),
            numeral(results.trainable(method), 0), numeral(receiving, 0), numeral(run["adapter_bytes"] / 1024, 0),
            _range(results.cost(method, "wall_seconds"), 1, 1), _range(results.cost(method, "tokens_per_second"), 1, 0),
            _range(results.cost(method, "peak_memory_bytes"), 2**20, 0),
            _range(results.cost(method, "energy_joules"), 1, 0),
        ))  # fmt: skip
    columns = (
        "Method",
        "Trained parameters",
        "With gradient",
        "Adapter, KiB",
        "Seconds",
        "Tokens/s",
        "Peak MiB",
        "Joules",
    )
    caption = "What training cost: median over seeds, lowest to highest below." + (
        "" if comparable else " The runs used different machines: seconds, memory and joules cannot be compared."
    )
    return Table("costs", caption, columns, tuple(rows))


def _range(values: list[float], unit: float, digits: int) -> Cell:
    scaled = sorted(value / unit for value in values)
    if not scaled:
        return numeral(None, digits)
    middle = (scaled[(len(scaled) - 1) // 2] + scaled[len(scaled) // 2]) / 2
    spread = f"{number(scaled[0], digits)} to {number(scaled[-1], digits)}" if len(scaled) > 1 else ""
    return numeral(middle, digits, note=spread)


def pairwise(results: Results, found: Pairwise) -> Table:
    """Probability that the row beats the column on a prompt; coloured where the corrected test separates the pair."""
    rows = []
    for row in results.methods:
        cells = [Cell(results.title(row), method=row)]
        for column in results.methods:
            cells.append(Cell("–") if row == column else _versus(found, row, column))
        rows.append(tuple(cells))
    caption = (
        "Held-out loss: probability that the row's method beats the column's on a reference text, same seed, a tie "
        "being half a win. Coloured where the corrected test separates the two (Holm, over all pairs)."
    )
    return Table("pairwise", caption, ("", *map(results.title, results.methods)), tuple(rows))


def _versus(found: Pairwise, row: str, column: str) -> Cell:
    direct = (row, column) in found.verdicts
    word = found.verdicts[(row, column) if direct else (column, row)].word
    swapped = {"better": "worse", "worse": "better"}
    word = word if direct else swapped.get(word, word)
    mark = MARKS[word] if word in swapped else ""
    return numeral(found.improvement[row, column], 2, mark=mark)
