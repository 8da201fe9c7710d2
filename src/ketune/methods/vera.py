"""Trained vectors around fixed random matrices, on the same maps as `lora`."""

from ketune.ground.checks import Range
from ketune.methods import Method

METHOD = Method(
    title="VeRA",
    family="classical",
    source="arXiv:2310.11454, Eq. 2",
    adapter="vera",
    draws="a pair of matrices",
    rates={"weights": Range(1e-3, 1e-1)},
)
