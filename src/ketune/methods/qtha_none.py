"""qtha_none: QTHA without its network. What it reaches, the network does not explain.

Left are the tensor trains and the linear bypass; the tuner is in `ketune.tuners.hybrid`.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from ketune.ground.checks import Count, Positive
from ketune.methods import AdapterMethod
from ketune.tuners.hybrid import QTHAConfig
from ketune.tuners.tuner import Dropout


@dataclass(frozen=True, kw_only=True)
class QTHANone(AdapterMethod):
    """QTHA without its network: tensor trains and the linear bypass alone."""

    title = "QTHA, no network"
    family = "control"
    source = "this project, after the siblings in the released code of arXiv:2503.12790"
    adapter = QTHAConfig
    fixed: ClassVar[dict[str, Any]] = {"network": "none"}

    r: Count
    bond: Count
    alpha: Positive
    dropout: Dropout
    learning_rate: Positive
