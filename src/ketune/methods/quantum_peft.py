"""Quantum-PEFT on the query and value maps."""

from ketune.ground.checks import Range
from ketune.methods import Method

METHOD = Method(
    title="Quantum-PEFT",
    family="quantum",
    source="arXiv:2503.05431",
    adapter="quantum_peft",
    fixed={"train_columns": True},
    rates={"diagonal": Range(1e-2, 1), "angles": Range(1e-2, 1)},
)
