"""LoRA whose ranks carry gates; the gates that are zeroed in training take their ranks with them."""

from ketune.ground.checks import Range
from ketune.methods import Method

METHOD = Method(
    title="SoRA",
    family="classical",
    source="arXiv:2311.11696",
    adapter="sora",
    rates={"weights": Range(5e-4, 5e-2), "gates": Range(5e-4, 5e-1)},
)
