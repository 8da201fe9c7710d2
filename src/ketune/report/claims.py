"""The paper's statements about training curves (arXiv:2509.16244, Sec. 4.2), each put to a test on our own curves.

Convergence is read as the mean training loss over all steps: who falls sooner is lower. "Variance in loss reduction" is
not defined there and is read as the variance of the change from one step to the next, over pairs of steps that do not
overlap. For a seed all methods see the same batches in the same order, so both are paired by seed; the steps are all
there are, so seeds alone are random. The statements were made before our runs: they are planned, and share one error.
"""

from dataclasses import dataclass

from ketune import statistics
from ketune.report import cells
from ketune.report.cells import Cell, Table, interval, numeral, probability
from ketune.report.panels import apart
from ketune.report.results import Results
from ketune.statistics import Contrast, Measure, Panel, Verdict


@dataclass(frozen=True)
class Claim:
    """A published statement: `method` has the lower `what` than `other`."""

    method: str
    other: str
    what: str


CLAIMS = (
    *(Claim("full", other, "loss") for other in ("lora", "sora", "prefix", "qaa")),
    Claim("qaa", "prefix", "loss"),
    Claim("qaa", "sora", "loss"),
    *(Claim("qaa", other, "variance") for other in ("lora", "sora", "prefix")),
)
WORDING = {"loss": "converges faster than", "variance": "has less variance in loss reduction than"}
WORDS = {"better": "holds", "worse": "the opposite holds", "comparable": "no difference to speak of"}


def curve_measure(results: Results, method: str, what: str) -> Measure:
    """Mean loss over steps, or the variance of steps' changes, as a mean over (pairs of) steps: (S, T) or (S, T/2)."""
    losses = results.losses(method)
    if what == "loss":
        return statistics.mean(losses, lower_is_better=True)
    even = losses.shape[1] // 2 * 2
    changes = losses[:, 1:even:2] - losses[:, 0:even:2]
    return statistics.mean((changes - changes.mean(axis=1, keepdims=True)) ** 2, lower_is_better=True)


def tested(results: Results) -> dict[Claim, Verdict]:
    """Verdicts on the claims whose methods ran, corrected together."""
    trained = [method for method in results.methods if results.losses(method).shape[1] >= 4]
    asked = {Contrast(c.what, c.method, c.other): c for c in CLAIMS if {c.method, c.other} <= set(trained)}
    if not asked:
        return {}
    panels = {
        what: Panel({m: curve_measure(results, m, what) for m in trained}, apart(trained), sampled=False)
        for what in WORDING
    }
    found = statistics.decide(panels, list(asked), alpha=results.settings.report.alpha).verdicts
    return {claim: found[contrast] for contrast, claim in asked.items()}


def table(results: Results) -> Table | None:
    """Each claim that can be tested, the test's word and numbers."""
    rows, judged = [], tested(results)
    for claim, found in judged.items():
        word = WORDS.get(found.word, found.word)
        statement = f"{results.title(claim.method)} {WORDING[claim.what]} {results.title(claim.other)}"
        note = interval(found.low, found.high, 4, signed=True)
        rows.append({
            "Statement": Cell(statement, method=claim.method),
            "Here": Cell(word, mark={"holds": "better", "the opposite holds": "worse"}.get(word, "open")),
            "Difference": numeral(found.difference, 4, signed=True, note=note),
            "Adjusted p": probability(found.adjusted_p), "p of seeds": probability(found.p_seeds),
        })  # fmt: skip
    caption = (
        "What arXiv:2509.16244 states of its training curves, tested on ours, paired by seed: mean training loss over "
        "all steps, and variance of the loss's change from step to step. Below 0 speaks for the statement. Corrected "
        "together (Holm)."
    )
    if any(found.seeds_missing for found in judged.values()):
        caption += " With fewer than three seeds the words hold for these very runs."
    return cells.table("paper_claims", caption, rows)
