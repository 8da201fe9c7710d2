"""QAA with every angle at 0: parity features of the squares h²/‖h‖². What it reaches needs no rotation."""

from ketune.ground.checks import Range
from ketune.methods import Method

METHOD = Method(
    title="QAA, angles 0",
    family="control",
    source="this project, after arXiv:2509.16244",
    adapter="qaa",
    fixed={"layers": 1, "rotation": "RX", "angle_init": "zero", "train_angles": False, "gradient": "adjoint"},
    control_of=("qaa",),
    isolates="whether rotations do more than parities of the squares alone",
    rates={"projection": Range(1e-5, 1e-1), "bias": Range(1e-4, 1e-1)},
    optional=("bias",),
)
