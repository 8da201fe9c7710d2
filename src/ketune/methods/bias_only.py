"""One trained vector for each block."""

from ketune.ground.checks import Range
from ketune.methods import Method

METHOD = Method(
    title="Bias only",
    family="control",
    source="this project",
    adapter="feature_map",
    fixed={"map": "constant", "rank": None, "centre": "none", "with_bias": False},
    control_of=("qaa",),
    isolates="how much a trained vector does alone",
    rates={"weights": Range(1e-4, 1e-1)},
)
