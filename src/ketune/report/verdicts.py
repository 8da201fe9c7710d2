"""The tables of judgement: words from the statistics, and all that they rest on."""

from dataclasses import replace

from ketune import methods, metrics, statistics
from ketune.report import cuts, panels
from ketune.report.cells import ABSENT, Cell, Table, interval, number, numeral, probability, table
from ketune.report.comparisons import Judgement, shown
from ketune.report.results import Results
from ketune.statistics import Contrast, Verdict

MARKED = ("better", "worse", "comparable")
SIGNIFICANT = ("better", "worse")


def mark(found: Verdict) -> str:
    """The CSS class of a word."""
    return found.word if found.word in MARKED else "open"


def verdict(results: Results, judgement: Judgement) -> Table | None:
    """Each comparison that was declared or that an attribution needs: the word, and all that it rests on."""
    rows = []
    for one in shown(results, judgement):
        found = judgement.verdict(one.method, one.other, one.metric)
        metric = metrics.named(one.metric)
        note = with_level(found, metric.digits, results.settings.report.alpha)
        rows.append({
            "Method": Cell(results.title(one.method), method=one.method),
            "Against": Cell(results.title(one.other), method=one.other, note=methods.declared(one.other).isolates),
            "On": Cell(metric.title), "Role": Cell(found.role),
            "Verdict": word(results, judgement, one),
            "Difference": numeral(found.difference, metric.digits, signed=True, note=note),
            "p": _p(found, results.settings.report.alpha),
            "p of seeds": probability(found.p_seeds),
            "Detectable": numeral(found.detectable, metric.digits, note=f"at {found.lead_level:.3g}"),
            "Seeds": numeral(found.seeds, 0, note=f"{found.prompts:,} references"),
        })  # fmt: skip
    return table("verdict", _caption(results, judgement), rows)


def _p(found: Verdict, alpha: float) -> Cell:
    if found.seeds < statistics.SEEDS_NEEDED:
        return Cell(ABSENT)
    return replace(probability(found.adjusted_p), note="adjusted" if found.level < alpha else "")


def size(found: Verdict, digits: int, alpha: float) -> str:
    """The difference and the interval of a verdict."""
    return f"{number(found.difference, digits, signed=True)} {with_level(found, digits, alpha)}"


def with_level(found: Verdict, digits: int, alpha: float) -> str:
    """The interval of a verdict, with its level where that is not the report's own."""
    ends = interval(found.low, found.high, digits, signed=True)
    return f"{ends[:-1]}; {100 * (1 - found.level):.4g} %]" if found.level < alpha else ends


def word(results: Results, judgement: Judgement, one: Contrast) -> Cell:
    """The word on a comparison, or why it has none; every table takes it from here."""
    if judgement.void.keys() & {one.method, one.other}:
        return Cell("void", mark="open", note="a part stood still")
    if cuts.touch(results, metrics.named(one.metric), one.method, one.other):
        return Cell("not judged", mark="open", note="answers were cut")
    found = judgement.verdict(one.method, one.other, one.metric)
    return Cell(found.word, mark=mark(found), note=confirmation(found))


def confirmation(found: Verdict) -> str:
    """What the seeds say on their own of better or worse."""
    if found.word not in SIGNIFICANT:
        return ""
    if found.confirmed:
        return "confirmed"
    needed = statistics.seeds_to_confirm(found.level)
    return f"unconfirmed: {needed} seeds could" if found.seeds < needed else "unconfirmed"


def unconfirmed(found: Verdict) -> bool:
    """Better or worse, and the seeds do not say so on their own."""
    return found.word in SIGNIFICANT and not found.confirmed


def _caption(results: Results, judgement: Judgement) -> str:
    alpha = results.settings.report.alpha
    margin = judgement.panels["loss"].margin
    alike = (
        "no margin can be told from fewer than three methods that vary over seeds and keep nothing that a seed draws"
        if margin is None
        else f"within ±{margin:.3g} nats per token, {panels.MARGIN} (of held-out loss)"
    )
    return (
        "Method less opponent, losses in nats per token, paired by seed and reference, with the interval at the level "
        "of the word; where a comparison is given one, it excludes 0 exactly if that is better or worse. Planned "
        f"comparisons share an error of {alpha:.3g}, those that did not run included; so do the controls that a method "
        "is not ahead of. There each comparison is judged at the level that its turn in Holm's procedure has, and its "
        f"p is adjusted. Controls that it is ahead of, and exploratory ones, stand at {alpha:.3g} each. Confirmed: the "
        "sign-flip test over the same seeds, which assumes nothing of how runs vary, says so too. "
        f"Comparable: {alike}. Detectable: the true lead that such a study finds four times in five."
    )


def other_verdicts(results: Results, judgement: Judgement) -> Table | None:
    """The other metrics: each quantum method, or each adapter, against the reference and controls of equal size."""
    reference = results.settings.report.reference
    pairs = dict.fromkeys(
        (one.method, one.other)
        for one in shown(results, judgement)
        if one.other == reference or methods.declared(one.other).matches == one.method
    )
    rows = []
    for method, other in pairs:
        row = {column: Cell(results.title(m), method=m) for column, m in (("Method", method), ("Against", other))}
        for metric in (metric for metric in results.metrics if metric.key != "loss"):
            cut = cuts.touch(results, metric, method, other)
            silent = cut or bool(judgement.void.keys() & {method, other})
            judged = _judged(judgement.verdict(method, other, metric.key), metric.digits, silent=silent)
            row[metric.heading] = cuts.marked(results, judged, metric, method, other)
        rows.append(row)
    caption = (
        "The other metrics: method less opponent with its interval, and the word where it is better or worse. "
        "Exploratory, and not corrected for their number, but where the comparison is planned."
    )
    return table("verdict_other_metrics", caption + cuts.footnote(results), rows)


def _judged(found: Verdict, digits: int, *, silent: bool) -> Cell:
    note = interval(found.low, found.high, digits, signed=True)
    text = number(found.difference, digits, signed=True)
    if silent or found.word not in SIGNIFICANT:
        return Cell(text, found.difference, note, "open")
    return Cell(f"{text} {found.word}", found.difference, note, mark(found))


def pairwise(results: Results, judgement: Judgement) -> Table | None:
    """Probability that the row beats the column on a reference; coloured where their verdict is better or worse."""
    if len(results.methods) < 2:
        return None
    rows = [
        {"": Cell(results.title(row), method=row)}
        | {results.title(column): _versus(judgement, row, column) for column in results.methods}
        for row in results.methods
    ]
    count = len(results.methods) * (len(results.methods) - 1) // 2
    caption = (
        "Held-out loss: probability that the row's method beats the column's on a reference text, same seed, a tie "
        "being half a win. Coloured where the pair's verdict is better or worse."
    )
    if len(results.settings.seeds) >= statistics.SEEDS_NEEDED:  # with fewer, none is
        chance = results.settings.report.alpha * count
        caption += f" Most pairs are exploratory: of {count} like pairs about {chance:.1f} would be coloured by chance."
    return table("pairwise", caption, rows)


def _versus(judgement: Judgement, row: str, column: str) -> Cell:
    if row == column:
        return Cell(ABSENT)
    measures = judgement.panels["loss"].measures
    told = judgement.verdict(row, column).word
    coloured = told in SIGNIFICANT and not judgement.void.keys() & {row, column}
    share = statistics.probability_of_improvement(measures[row], measures[column])
    return numeral(share, 2, mark=told if coloured else "")
