"""QTHA without its network: tensor trains and the linear bypass alone."""

from ketune.ground.checks import Range
from ketune.methods import Method

METHOD = Method(
    title="QTHA, no network",
    family="control",
    source="this project, after siblings in code that the group of arXiv:2503.12790 released",
    adapter="qtha",
    fixed={"network": "none", "layers": 1},
    control_of=("qtha",),
    isolates="whether the quantum network matters",
    rates={"trains": Range(1e-5, 5e-3)},
)
