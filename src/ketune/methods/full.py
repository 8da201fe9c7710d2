"""Every weight is trained: the upper end of what a method with few parameters is compared with."""

from ketune.ground.checks import Range
from ketune.methods import Method

METHOD = Method(
    title="Full",
    family="reference",
    source="all weights, as in arXiv:2509.16244, Table 1",
    adapter="whole_model",
    fixed={"train": True},
    rates={"weights": Range(1e-5, 1e-3)},
)
