"""Quantum-PEFT on the query and value maps."""

from ketune.ground.checks import Range
from ketune.methods import Departure, Method

METHOD = Method(
    title="Quantum-PEFT",
    family="quantum",
    source="arXiv:2503.05431",
    adapter="quantum_peft",
    fixed={"train_columns": True},
    draws="angles",
    rates={"diagonal": Range(1e-2, 1), "angles": Range(1e-2, 1)},
    departures=(
        Departure(
            "A width that is no power of two is padded, cut and made orthonormal again; the paper splits the "
            "circuit instead.",
            where={"parameterization": "pauli"},
        ),
        Departure(
            "The matrix exponential is exact; the paper cuts its series, which leaves the orthogonal group once "
            "weights grow.",
            where={"parameterization": "taylor"},
        ),
    ),
)
