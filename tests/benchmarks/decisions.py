"""How often the decision rule is right: `python -m tests.benchmarks.decisions` writes reports/benchmarks/statistics.md.

Every number is a share of simulated studies judged by `ketune.statistics.decide`, the function that gives the report's
words. Beside it stands the rule that this one replaced: each comparison's own variance over seeds, and Holm's
correction over 18 comparisons, the four planned ones among them.
"""

import argparse
from collections import Counter

import numpy as np

from ketune.statistics import Contrast, Panel, decide
from ketune.statistics.attribution import attribution
from ketune.statistics.decisions import Verdict

from . import replaced
from .decisions_page import write
from .studies import ARMS, ATTRIBUTED, CONTROLS, MIXES, PLAIN, PLANNED, Mix, Study, study

SIZES = tuple((seeds, references) for seeds in (3, 5, 8) for references in (40, 400))
DIFFERENCES = (0.02, 0.05, 0.10)
ALPHA = 0.05
FAR = 0.5  # nats: what nobody overlooks
FAMILY = [*PLANNED, *[Contrast("loss", a, b) for i, a in enumerate(ARMS) for b in ARMS[1:i]][:14]]  # 18 comparisons
Tally = Counter[str]


def judge(panel: Panel) -> dict[Contrast, Verdict]:
    """The rule's verdicts on a simulated study."""
    return dict(decide({"loss": panel}, PLANNED, ATTRIBUTED, alpha=ALPHA).verdicts)


def null(made: Study, tally: Tally) -> None:
    """All arms alike: what is said is wrong, and intervals should hold 0."""
    panel = made.panel()
    found = judge(panel)
    tally["wrong"] += any(found[one].word in ("better", "worse") for one in PLANNED)
    tally["wrongly confirmed"] += any(found[one].confirmed for one in PLANNED)
    tally["worse than a control"] += any(found[one].word == "worse" for one in ATTRIBUTED)
    for name, pairs in {"plain": PLANNED, "circuit": ATTRIBUTED[2:]}.items():
        for one in pairs:
            interval = panel.estimate(one.method, one.other).interval(1.0 - ALPHA)
            tally[f"covered, {name}"] += (interval.low <= 0 <= interval.high) / len(pairs)
    tally["comparable"] += sum(found[one].word == "comparable" for one in PLANNED) / len(PLANNED)
    before = replaced.words(panel, FAMILY, ALPHA)
    tally["wrong before"] += any(before[one] != "not distinguishable" for one in PLANNED)
    at_the_margin = judge(made.panel({PLAIN[0]: panel.margin}))
    tally["wrongly comparable"] += at_the_margin[PLANNED[0]].word == "comparable"


def power(made: Study, tally: Tally) -> None:
    """One planned arm is better than the reference, and the circuit better than all its controls, by so much."""
    for size in DIFFERENCES:
        shifts = {PLAIN[0]: -size, "circuit": -size}
        panel = made.panel(shifts)
        found = judge(panel)
        tally[f"found, {size}"] += found[PLANNED[0]].word == "better"
        tally[f"confirmed, {size}"] += found[PLANNED[0]].confirmed
        tally[f"contributes, {size}"] += contributes(found)
        tally[f"found before, {size}"] += replaced.words(panel, FAMILY, ALPHA)[PLANNED[0]] == "better"


def attributed(made: Study, tally: Tally) -> None:
    """The circuit is far better than every control but one, like which it is: nothing may be said to contribute."""
    for control in ("frozen", PLAIN[4]):
        shifts = {arm: FAR for arm in CONTROLS if arm != control}
        tally[f"wrongly contributes, {control}"] += contributes(judge(made.panel(shifts)))
    tally["contributes, far"] += contributes(judge(made.panel(dict.fromkeys(CONTROLS, FAR))))


def promised(made: Study, fresh: Study, tally: Tally) -> None:
    """Whether a second study finds a difference of the size that the first called detectable, at the same level."""
    for name, one in {"plain": PLANNED[0], "circuit": ATTRIBUTED[2]}.items():
        size = made.panel().estimate(one.method, one.other).detectable(ALPHA)
        found = fresh.panel({one.method: -size}).estimate(one.method, one.other)
        tally[f"detectable, {name}"] += found.p_value() <= ALPHA and found.value < 0


def contributes(found: dict[Contrast, Verdict]) -> bool:
    """Whether the circuit is said to contribute."""
    return attribution({one.other: found[one] for one in ATTRIBUTED}, CONTROLS).contributes


def rates(mix: Mix, seeds: int, references: int, trials: int, start: int) -> dict[str, float]:
    """Shares over simulated studies; power, whose shares are large, over every fourth."""
    rng = np.random.default_rng((start, seeds, references, *mix.name.encode()))
    every: Tally = Counter()
    fourth: Tally = Counter()
    for trial in range(trials):
        made = study(mix, seeds, references, rng)
        null(made, every)
        promised(made, study(mix, seeds, references, rng), every)
        if trial % 4 == 0:
            power(made, fourth)
            attributed(made, fourth)
    shares = {name: count / trials for name, count in every.items()}
    return shares | {name: count / len(range(0, trials, 4)) for name, count in fourth.items()}


def main() -> None:
    """Simulate every mix at every size and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000, help="studies for each mix and size")
    parser.add_argument("--start", type=int, default=0, help="where the random numbers start")
    given = parser.parse_args()
    found = {}
    for mix in MIXES:
        for seeds, references in SIZES:
            found[mix.name, seeds, references] = rates(mix, seeds, references, given.trials, given.start)
            print(mix.name, seeds, references, flush=True)
    write(found, given.trials, DIFFERENCES)


if __name__ == "__main__":
    main()
