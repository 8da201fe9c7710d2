"""What a comparison of runs may claim: intervals, paired tests and verdicts.

Arrays in, numbers out: this room knows seeds and prompts, and no method, file or metric by name. Every random
number comes from the seed of a `Resampling`: same input, same output.
"""

from ketune.ground.contrasts import Contrast
from ketune.statistics.decisions import Decisions, decide
from ketune.statistics.intervals import Interval, Resampling, detectable, difference, interval
from ketune.statistics.measures import Measure, mean, ratio
from ketune.statistics.paired import approximate_randomisation, paired_bootstrap, probability_of_improvement
from ketune.statistics.panel import Panel
from ketune.statistics.verdicts import (
    Attribution,
    Equivalence,
    Verdict,
    attribution,
    equivalence,
    holm,
    verdict,
    verdicts,
)

__all__ = [
    "Attribution",
    "Contrast",
    "Decisions",
    "Equivalence",
    "Interval",
    "Measure",
    "Panel",
    "Resampling",
    "Verdict",
    "approximate_randomisation",
    "attribution",
    "decide",
    "detectable",
    "difference",
    "equivalence",
    "holm",
    "interval",
    "mean",
    "paired_bootstrap",
    "probability_of_improvement",
    "ratio",
    "verdict",
    "verdicts",
]
