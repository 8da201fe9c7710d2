"""QAA in the form of its paper: no bias, features as small as expectations of an amplitude-embedded vector are."""

from ketune.ground.checks import Range
from ketune.methods import Departure, Method

METHOD = Method(
    title="QAA, as published",
    family="quantum",
    source="arXiv:2509.16244, Eq. 8-13",
    adapter="qaa",
    fixed={
        "centre": "none",
        "with_bias": False,
        "unit_features": False,
        "up_projection": "padded",
        "train_angles": True,
    },
    isolates="what this project's changes to QAA are worth",
    draws="angles",
    rates={"projection": Range(1e-4, 1), "angles": Range(1e-3, 1)},
    departures=(
        Departure(
            "Adapters stand after attention blocks, as the paper's own count has it; its text names the other "
            "blocks as well.",
            where={"placement": "attention"},
        ),
    ),
)
