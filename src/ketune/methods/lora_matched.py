"""LoRA's map at QAA's sites, with half its features: as many weights as QAA's projection, for odd n an nth more."""

from ketune.ground.checks import Range
from ketune.methods import Method

METHOD = Method(
    title="LoRA, matched",
    family="control",
    source="this project",
    adapter="feature_map",
    fixed={"map": "linear"},
    control_of=("qaa",),
    isolates="whether a trained linear map of as many weights does as well",
    matches="qaa",
    rates={"weights": Range(1e-4, 1e-1), "bias": Range(1e-4, 1e-1)},
    optional=("bias",),
)
