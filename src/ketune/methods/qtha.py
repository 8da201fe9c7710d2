"""Quantum tensor hybrid adaptation of the query and value maps."""

from ketune.ground.checks import Range
from ketune.methods import Method

METHOD = Method(
    title="QTHA",
    family="quantum",
    source="arXiv:2503.12790",
    adapter="qtha",
    fixed={"network": "quantum"},
    rates={"trains": Range(2e-4, 2e-2), "network": Range(1e-3, 1e-1)},
)
