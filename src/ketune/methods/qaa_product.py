"""QAA without its CNOTs. Entangling gates cannot explain what it reaches.

The embedded vector is an entangled state in both. As it is real, RX alone turns ⟨Z_k⟩ into cos(θ_k) ⟨Z_k⟩, with θ_k the
sum of the qubit's angles: they only scale fixed quadratic features.
"""

from ketune.ground.checks import Range
from ketune.methods import Method

METHOD = Method(
    title="QAA, no CNOT",
    family="control",
    source="this project, after arXiv:2509.16244",
    adapter="qaa",
    fixed={"entangler": "none", "train_angles": True},
    control_of=("qaa",),
    isolates="whether the entangling gates matter",
    draws="angles",
    rates={"projection": Range(1e-5, 1e-1), "angles": Range(1e-3, 1), "bias": Range(1e-4, 1e-1)},
    optional=("bias",),
)
