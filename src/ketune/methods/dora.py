"""LoRA beside a trained magnitude for each output, on the same maps as `lora`."""

from ketune.ground.checks import Range
from ketune.methods import Method

METHOD = Method(
    title="DoRA",
    family="classical",
    source="arXiv:2402.09353, Eq. 5",
    adapter="lora",
    fixed={"use_dora": True},
    rates={"weights": Range(5e-4, 5e-2)},
)
