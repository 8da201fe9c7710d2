"""What a comparison of runs may claim: variances of crossed seeds and references, words at stated levels, power.

Arrays in, numbers out: this room knows seeds and references, and no method, file or metric by name. Nothing is drawn at
random but where so many seeds or studies are asked for that not all cases can be counted; those draws start at a fixed
place. Same input, same output.
"""

from ketune.ground.contrasts import Contrast
from ketune.statistics.attribution import Attribution, attribution
from ketune.statistics.decisions import Decisions, Verdict, Word, decide, word
from ketune.statistics.estimates import SEEDS_NEEDED, seeds_to_confirm
from ketune.statistics.measures import Measure, mean
from ketune.statistics.pairs import agreement, probability_of_improvement, seeds_won
from ketune.statistics.panel import Panel
from ketune.statistics.spread import Spread, spread

__all__ = [
    "SEEDS_NEEDED",
    "Attribution",
    "Contrast",
    "Decisions",
    "Measure",
    "Panel",
    "Spread",
    "Verdict",
    "Word",
    "agreement",
    "attribution",
    "decide",
    "mean",
    "probability_of_improvement",
    "seeds_to_confirm",
    "seeds_won",
    "spread",
    "word",
]
