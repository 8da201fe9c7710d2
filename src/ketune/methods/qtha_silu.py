"""QTHA with a SiLU network in place of the quantum one; at r = 4 they have as many parameters."""

from ketune.ground.checks import Range
from ketune.methods import Method

METHOD = Method(
    title="QTHA, SiLU",
    family="control",
    source="this project, after siblings in code that the group of arXiv:2503.12790 released",
    adapter="qtha",
    fixed={"network": "silu"},
    control_of=("qtha",),
    isolates="whether the network does more than a usual nonlinearity",
    rates={"trains": Range(1e-5, 5e-3), "network": Range(1e-4, 1e-1)},
)
