"""LoRA of the lowest rank, which arXiv:2503.05431 compares Quantum-PEFT with."""

from ketune.ground.checks import Range
from ketune.methods import Method

METHOD = Method(
    title="LoRA, rank 1",
    family="classical",
    source="arXiv:2106.09685, Eq. 3",
    adapter="lora",
    fixed={"r": 1, "use_dora": False},
    isolates="the smallest change of low rank",
    rates={"weights": Range(5e-4, 5e-2)},
)
