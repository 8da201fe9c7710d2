"""qtha_silu: QTHA with a SiLU network in place of the quantum one. What it reaches, any nonlinearity explains.

At r = 4 both networks have the same number of parameters; the tuner is in `ketune.tuners.hybrid`.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from ketune.ground.checks import Count, Positive
from ketune.methods import AdapterMethod
from ketune.tuners.hybrid import QTHAConfig
from ketune.tuners.tuner import Dropout


@dataclass(frozen=True, kw_only=True)
class QTHASilu(AdapterMethod):
    """QTHA with a SiLU network in place of the quantum network."""

    title = "QTHA, SiLU"
    family = "control"
    source = "this project, after the siblings in the released code of arXiv:2503.12790"
    adapter = QTHAConfig
    fixed: ClassVar[dict[str, Any]] = {"network": "silu"}

    r: Count
    bond: Count
    layers: Count
    alpha: Positive
    dropout: Dropout
    learning_rate: Positive
