"""The classical bottleneck adapter at QAA's sites."""

from ketune.ground.checks import Range
from ketune.methods import Method

METHOD = Method(
    title="SiLU bottleneck",
    family="control",
    source="after Houlsby et al., arXiv:1902.00751",
    adapter="feature_map",
    fixed={"map": "silu"},
    control_of=("qaa",),
    isolates="whether the circuit does more than a usual nonlinearity",
    rates={"weights": Range(1e-4, 1e-1), "bias": Range(1e-4, 1e-1)},
    optional=("bias",),
)
