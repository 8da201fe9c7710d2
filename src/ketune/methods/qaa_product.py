"""QAA without its CNOTs. What it reaches, entanglement does not explain."""

from ketune.ground.checks import Range
from ketune.methods import Method

METHOD = Method(
    title="QAA, no CNOT",
    family="control",
    source="this project, after arXiv:2509.16244",
    adapter="qaa",
    fixed={"entangler": "none", "train_angles": True},
    control_of=("qaa",),
    isolates="whether entanglement matters",
    draws="angles",
    rates={"projection": Range(1e-5, 1e-1), "angles": Range(1e-3, 1)},
)
