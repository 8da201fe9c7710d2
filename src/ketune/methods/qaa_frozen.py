"""QAA whose angles stay as they were drawn. Training the angles cannot explain what it reaches."""

from ketune.ground.checks import Range
from ketune.methods import Method

METHOD = Method(
    title="QAA, frozen angles",
    family="control",
    source="this project, after arXiv:2509.16244",
    adapter="qaa",
    fixed={"train_angles": False, "gradient": "adjoint"},
    control_of=("qaa",),
    isolates="whether training the angles matters",
    draws="angles",
    rates={"projection": Range(1e-5, 1e-1), "bias": Range(1e-4, 1e-1)},
    optional=("bias",),
)
