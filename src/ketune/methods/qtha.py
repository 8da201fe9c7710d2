"""Quantum tensor hybrid adaptation of the query and value maps."""

from ketune.ground.checks import Range
from ketune.methods import Departure, Method

METHOD = Method(
    title="QTHA",
    family="quantum",
    source="arXiv:2503.12790",
    adapter="qtha",
    fixed={"network": "quantum"},
    rates={"trains": Range(1e-5, 5e-3), "network": Range(1e-4, 1e-1)},
    departures=(
        Departure(
            "The inner width grows with the model; the released code has 256 at every width.", where={"inner": None}
        ),
        Departure(
            "The maps between tensor train and bottleneck start 2.45 times smaller than in the released code.",
            where={"map_init": "torch"},
        ),
        Departure(
            "The factors of every width are those of the smallest sum; the released code lists its own for some."
        ),
    ),
)
