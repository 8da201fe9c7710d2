"""Low-rank adaptation; the row of arXiv:2509.16244 is r = 4 on query and value."""

from ketune.ground.checks import Range
from ketune.methods import Method

METHOD = Method(
    title="LoRA",
    family="classical",
    source="arXiv:2106.09685, Eq. 3",
    adapter="lora",
    fixed={"use_dora": False},
    isolates="the usual adapter",
    rates={"weights": Range(5e-4, 5e-2)},
)
