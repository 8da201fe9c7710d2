"""Quantum-amplitude embedded adaptation."""

from ketune.ground.checks import Range
from ketune.methods import Method

METHOD = Method(
    title="QAA",
    family="quantum",
    source="arXiv:2509.16244, Eq. 8-13",
    adapter="qaa",
    fixed={"train_angles": True},
    draws="angles",
    rates={"projection": Range(1e-5, 1e-1), "angles": Range(1e-3, 1)},
)
