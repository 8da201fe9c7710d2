"""LoRA whose ranks carry gates; the gates that are zeroed in training take their ranks with them."""

from ketune.ground.checks import Range
from ketune.methods import Departure, Method

METHOD = Method(
    title="SoRA",
    family="classical",
    source="arXiv:2311.11696",
    adapter="sora",
    rates={"weights": Range(5e-4, 5e-2), "gates": Range(5e-4, 5e-1)},
    departures=(
        Departure(
            "The soft threshold is the textbook one; the released code shifts in place and so zeroes "
            "everything below 2ξ."
        ),
        Departure("There is no L1 term on the gates in the loss; the released code has one beside the proximal step."),
        Departure(
            "Query and value maps are adapted, as for LoRA; the released code adapts every map and trains "
            "normalisation layers."
        ),
        Departure(
            "The smallest gates are zeroed on a schedule until the target is met; in the paper the threshold "
            "alone prunes.",
            unless={"target_ranks": None},
        ),
    ),
)
