"""Quantum-PEFT whose angles stay as they were drawn. Training them cannot explain what it reaches."""

from ketune.ground.checks import Range
from ketune.methods import Method

METHOD = Method(
    title="Quantum-PEFT, frozen angles",
    family="control",
    source="this project, after arXiv:2503.05431",
    adapter="quantum_peft",
    fixed={"train_columns": False},
    control_of=("quantum_peft",),
    isolates="whether training the angles matters",
    draws="angles",
    rates={"diagonal": Range(1e-2, 1)},
)
