"""Simulated studies of known truth: losses per token of arms, seeds and references, as a comparison meets them.

    loss of arm a, seed s, reference p = 2 + shift_a + seed_as + reference_p + habit_ap + rest_asp     (nats per token)

`seed` is what a run differs from another by, `habit` what an arm does to a reference in every run. The references'
lengths are log-normal, and losses are weighted by them as in a corpus. Two arms, `circuit` and `frozen`, share a draw
that a seed makes and training keeps, as QAA and its copy with frozen angles do.

The sizes are those met with SmolLM2-135M on Alpaca. Over seeds the 15 arms of the published study without QAA's draw
deviate by 0.004 to 0.036 nats, the middle one by 0.0125, QAA and its frozen copy by 0.049 and from each other by 0.003
(40 steps, three seeds each). Differences of two arms deviate by 0.07 nats over references, weighted by length (eight
arms, 30 steps, 120 references).
"""

from dataclasses import dataclass

import numpy as np

from ketune import metrics
from ketune.statistics import Contrast, Measure, Panel

PLAIN = tuple(f"plain{i}" for i in range(10))
REFERENCE = "reference"
DRAWN = ("circuit", "frozen")
ARMS = (REFERENCE, *PLAIN, *DRAWN)
PLANNED = tuple(Contrast("loss", arm, REFERENCE) for arm in PLAIN[:4])
CONTROLS = ("base", "frozen", *PLAIN[4:6])
ATTRIBUTED = tuple(Contrast("loss", "circuit", control) for control in CONTROLS)
Array = np.ndarray


@dataclass(frozen=True)
class Mix:
    """How large each source of variation is, as standard deviations in nats.

    Attributes:
        seeds: of the reference and the plain arms, one for all or one for each.
        shuffled: whose deviation is whose is drawn anew for each study; otherwise the reference has the first.
        draw: of the draw that circuit and frozen share.
        own: what is left between those two.
        habit: arm x reference.
        rest: arm x seed x reference.
        skewed: habits are log-normal, so that a few references decide.
    """

    name: str
    seeds: tuple[float, ...]
    shuffled: bool = False
    draw: float = 0.049
    own: float = 0.003
    habit: float = 0.035
    rest: float = 0.025
    skewed: bool = False

    def deviations(self, rng: np.random.Generator) -> Array:
        """Of the reference and the plain arms (11,)."""
        sizes = np.resize(self.seeds, len(PLAIN) + 1)
        return rng.permutation(sizes) if self.shuffled else sizes


UNEVEN = (0.036, 0.024, 0.023, 0.018, 0.0133, 0.0125, 0.0106, 0.0076, 0.0072, 0.007, 0.004)
MIXES = (
    Mix("typical", (0.0125,)),
    Mix("uneven arms", UNEVEN, shuffled=True),
    Mix("seeds decide", (0.03,), habit=0.01, rest=0.01),
    Mix("references decide", (0.004,), habit=0.1),
    Mix("a few references decide", (0.0125,), habit=0.1, skewed=True),
    Mix("the reference arm is the most uneven", UNEVEN),
)


@dataclass(frozen=True, eq=False)
class Study:
    """Everything random of one study; what is true is added to it afterwards.

    Attributes:
        losses: arm → (S, P) around 2, base among the arms.
        tokens: lengths of the references (P,).
    """

    losses: dict[str, Array]
    tokens: Array

    def panel(self, shifts: dict[str, float] | None = None) -> Panel:
        """The study in which each arm's true loss lies `shifts` higher."""
        shifts = shifts or {}
        measures = {arm: self._measure(arm, shifts.get(arm, 0.0)) for arm in self.losses}
        return Panel(measures, apart=DRAWN)

    def _measure(self, arm: str, shift: float) -> Measure:
        losses = self.losses[arm] + shift
        tokens = np.broadcast_to(self.tokens, losses.shape)
        return Measure(np.stack([losses * tokens, tokens], axis=-1), metrics.ratio, lower_is_better=True)


def study(mix: Mix, seeds: int, references: int, rng: np.random.Generator) -> Study:
    """Draw a study in which all arms are equally good."""
    common = 2.0 + 0.5 * rng.standard_normal(references)
    scores = dict(zip(ARMS, mix.deviations(rng)[:, None] * rng.standard_normal((len(PLAIN) + 1, seeds)), strict=False))
    draw = mix.draw * rng.standard_normal(seeds)
    scores |= {arm: draw + mix.own * rng.standard_normal(seeds) for arm in DRAWN}
    losses = {"base": (common + _habit(mix, references, rng))[None]}
    for arm in ARMS:
        rest = mix.rest * rng.standard_normal((seeds, references))
        losses[arm] = common + scores[arm][:, None] + _habit(mix, references, rng) + rest
    return Study(losses, np.ceil(rng.lognormal(3.5, 0.7, references)))


def _habit(mix: Mix, references: int, rng: np.random.Generator) -> Array:
    """What an arm does to each reference (P,), of mean 0 and standard deviation `mix.habit`."""
    values = rng.standard_normal(references)
    if mix.skewed:
        values = (np.exp(values) - np.exp(0.5)) / np.sqrt((np.e - 1) * np.e)
    return mix.habit * values
