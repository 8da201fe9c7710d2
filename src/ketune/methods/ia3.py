"""Trained vectors that rescale keys, values and inner activations."""

from ketune.ground.checks import Range
from ketune.methods import Method

METHOD = Method(
    title="(IA)³",
    family="classical",
    source="arXiv:2205.05638, Sec. 3.3",
    adapter="ia3",
    rates={"weights": Range(1e-3, 1e-1)},
)
