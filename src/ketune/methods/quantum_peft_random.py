"""Quantum-PEFT without a circuit: random orthonormal columns, turned by as many weights as it has angles."""

from ketune.ground.checks import Range
from ketune.methods import Method

METHOD = Method(
    title="Quantum-PEFT, no circuit",
    family="control",
    source="this project, after arXiv:2503.05431",
    adapter="quantum_peft",
    fixed={"parameterization": "random", "intrinsic_rank": None, "train_columns": True},
    control_of=("quantum_peft",),
    isolates="whether the circuit does more than other orthonormal columns of as many weights",
    matches="quantum_peft",
    draws="a frame of columns",
    rates={"diagonal": Range(1e-2, 1), "angles": Range(1e-3, 1)},
)
