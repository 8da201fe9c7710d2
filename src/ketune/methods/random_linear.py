"""As many fixed random linear features as QAA has qubits."""

from ketune.ground.checks import Range
from ketune.methods import Method

METHOD = Method(
    title="Random linear map",
    family="control",
    source="this project",
    adapter="feature_map",
    fixed={"map": "random_linear", "rank": None},
    control_of=("qaa",),
    isolates="whether the circuit does more than a random linear map",
    draws="a linear map",
    rates={"weights": Range(1e-4, 1e-1), "bias": Range(1e-4, 1e-1)},
    optional=("bias",),
)
