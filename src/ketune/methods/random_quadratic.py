"""As many fixed random quadratic forms over ‖h‖² as QAA has qubits."""

from ketune.ground.checks import Range
from ketune.methods import Method

METHOD = Method(
    title="Random quadratic map",
    family="control",
    source="this project",
    adapter="feature_map",
    fixed={"map": "random_quadratic", "rank": None},
    control_of=("qaa",),
    isolates="whether the circuit does more than a random quadratic map",
    draws="a quadratic map",
    rates={"weights": Range(1e-4, 1e-1), "bias": Range(1e-4, 1e-1)},
    optional=("bias",),
)
