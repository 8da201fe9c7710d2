"""Quantum-amplitude embedded adaptation."""

from ketune.ground.checks import Range
from ketune.methods import Departure, Method

METHOD = Method(
    title="QAA",
    family="quantum",
    source="arXiv:2509.16244, Eq. 8-13",
    adapter="qaa",
    fixed={"train_angles": True},
    draws="angles",
    rates={"projection": Range(1e-5, 1e-1), "angles": Range(1e-3, 1), "bias": Range(1e-4, 1e-1)},
    optional=("bias",),
    departures=(
        Departure(
            "Adapters stand after attention blocks, as the paper's own count has it; its text names the other "
            "blocks as well.",
            where={"placement": "attention"},
        ),
        Departure(
            "The up projection has a row for each hidden unit; the paper's count has 2**n rows, of which, as we read "
            "it, those beyond the hidden width are cut and can never receive a gradient.",
            where={"up_projection": "exact"},
        ),
        Departure("Features are multiplied by 2**(n/2).", where={"unit_features": True}),
        Departure("Features are centred by their mean over training data.", where={"centre": "data"}),
        Departure("A trained bias stands beside the features.", where={"with_bias": True}),
    ),
)
