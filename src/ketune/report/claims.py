"""What three papers state, each statement with the way it is read here and what the runs say of it.

The words are ours. A statement is one entry of `CLAIMS`: its paper, what it says, how it is read, and the reading, a
function of `ketune.report.readings` or `ketune.report.counting`. The comparisons of training curves were made
before our runs: they are planned, and share one error (Holm). Those of metrics have the verdict of every other table.
"""

from dataclasses import dataclass, field

from ketune import published, statistics
from ketune.report import cells, counting, curves
from ketune.report.cells import Cell, Table
from ketune.report.comparisons import Judgement
from ketune.report.readings import Found, Reading, Wanted, measured, never, smaller, steadier, trained
from ketune.report.results import Results
from ketune.statistics import Contrast

QAA, QUANTUM_PEFT, QTHA = published.SOURCE, "arXiv:2503.05431", "arXiv:2503.12790"
PUBLISHED_METRICS = tuple(published.METRICS)
SCORES = "BLEU, BERTScore and ROUGE"
ADAPTERS = ("lora", "sora", "prefix", "qaa")
MARKS = {"holds": "better", "contradicted": "worse"}


@dataclass(frozen=True)
class Claim:
    """A published statement.

    Attributes:
        says: the statement, in our words.
        read_as: what is looked at here, to follow "read on".
        curves: the comparisons of training curves that the reading needs.
    """

    paper: str
    says: str
    read_as: str
    reading: Reading
    curves: tuple[Contrast, ...] = field(default=())


def _curve(paper: str, says: str, method: str, others: tuple[str, ...], what: str, wanted: Wanted = "better") -> Claim:
    """A statement on training curves."""
    asked = tuple(Contrast(what, method, other) for other in others)
    return Claim(paper, says, curves.MEASURES[what], trained(wanted, method, others, what), asked)


CLAIMS = (
    Claim(QAA, "The trained parameters of LoRA, prefix tuning and QAA in Table 1.", "closed forms at the sizes of "
          "GPT-Neo-125M", counting.published_counts),
    Claim(QAA, "The trained parameters of SoRA in Table 1.", "its closed form at the sizes of GPT-Neo-125M",
          counting.published_ranks),
    Claim(QAA, "Full tuning is best of all.", SCORES, measured("better", "full", ADAPTERS, PUBLISHED_METRICS)),
    Claim(QAA, "Full tuning is best of all.", "held-out loss", measured("better", "full", ADAPTERS, ["loss"])),
    Claim(QAA, "QAA is better than prefix tuning.", SCORES, measured("better", "qaa", ["prefix"], PUBLISHED_METRICS)),
    Claim(QAA, "QAA is better than prefix tuning.", "held-out loss", measured("better", "qaa", ["prefix"], ["loss"])),
    Claim(QAA, "QAA is comparable with LoRA.", SCORES, measured("comparable", "qaa", ["lora"], PUBLISHED_METRICS)),
    Claim(QAA, "QAA is comparable with LoRA.", "held-out loss", measured("comparable", "qaa", ["lora"], ["loss"])),
    Claim(QAA, "QAA is comparable with SoRA.", SCORES, measured("comparable", "qaa", ["sora"], PUBLISHED_METRICS)),
    Claim(QAA, "QAA is comparable with SoRA.", "held-out loss", measured("comparable", "qaa", ["sora"], ["loss"])),
    Claim(QAA, "QAA needs a smaller budget.", "trained parameters", smaller("qaa", ["lora", "sora", "prefix"])),
    _curve(QAA, "Full tuning converges fastest.", "full", ADAPTERS, "course"),
    _curve(QAA, "QAA's curve is smoother than those of LoRA, SoRA and prefix tuning.", "qaa",
           ("lora", "sora", "prefix"), "roughness"),
    Claim(QAA, "QAA's training is steadier than that of LoRA, SoRA and prefix tuning.", "the deviation of the "
          "held-out loss between seeds", steadier("qaa", ["lora", "sora", "prefix"])),
    _curve(QAA, "QAA's curve closely follows LoRA's.", "qaa", ("lora",), "course", "comparable"),
    Claim(QUANTUM_PEFT, "Quantum-PEFT's parameters grow with the logarithm of the width.", "its closed form, widths 64 "
          "to 8,192", counting.logarithmic),
    Claim(QUANTUM_PEFT, "Quantum-PEFT's performance is competitive.", "held-out loss, beside LoRA of the lowest rank",
          measured("not worse", "quantum_peft", ["lora_r1"], ["loss"])),
    Claim(QUANTUM_PEFT, "Quantum-PEFT has fewer parameters than LoRA of the lowest rank.", "trained parameters",
          smaller("quantum_peft", ["lora_r1"])),
    Claim(QTHA, "QTHA has 76 % fewer parameters than LoRA.", "trained parameters and a scan of width, rank and bond",
          counting.saving),
    _curve(QTHA, "QTHA's training loss is lower than LoRA's, by up to 17 %.", "qtha", ("lora",), "end"),
    Claim(QTHA, "QTHA is better than LoRA on test data, by up to 17 %.", "held-out loss",
          measured("better", "qtha", ["lora"], ["loss"])),
    Claim(QTHA, "QTHA holds on quantum hardware.", "runs on a machine", never(
        "no quantum computer was asked; what a token would cost on named machines stands in "
        "reports/benchmarks/hardware.md, and what shots and the simulated noise of one leave of a gain in "
        "reports/benchmarks/shots.csv")),
)  # fmt: skip


def evidence(results: Results, judgement: Judgement) -> Found:
    """What statements are read on, with verdicts on the training curves of all those whose methods ran."""
    panels = curves.panels(results)
    asked = [one for claim in CLAIMS for one in claim.curves]
    decided = statistics.decide(panels, asked, alpha=results.settings.report.alpha)
    return Found(results, judgement, panels, decided)


def table(results: Results, judgement: Judgement) -> Table | None:
    """A row for each statement."""
    found = evidence(results, judgement)
    rows = []
    for claim in CLAIMS:
        said = claim.reading(found)
        rows.append({
            "Statement": Cell(claim.says, note=f"{claim.paper}, read on {claim.read_as}"),
            "Here": Cell(said.word, mark=MARKS.get(said.word, "open")), "Why": Cell(said.sentence),
        })  # fmt: skip
    caption = (
        "What the papers of these methods state, in our words, and what these runs say of it. A statement of several "
        "comparisons holds where all of them say so, and is contradicted where one says the opposite, at its level "
        "divided by their number; of comparable methods, where a whole interval lies beyond the margin. Held-out loss "
        "and deviations between seeds are read in place of what the papers report. Where an opponent did not run or "
        "stood still, the others can contradict a statement, and not bear it out. Differences have the interval of "
        "their verdict; comparisons of training curves share one error (Holm), and so do the planned ones of metrics; "
        "all others are exploratory, and nothing is corrected for the number of statements."
    )
    return cells.table("claims", caption, rows)
