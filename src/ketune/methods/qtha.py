"""qtha: quantum tensor hybrid adaptation: tensor trains down to r and up again, a quantum network between them.

Source: Kong et al., arXiv:2503.12790; the tuner is in `ketune.tuners.hybrid`. At small widths the tensor trains save
nothing: with width 768, r = 4 and bond 8 a map costs 7,984 parameters, where LoRA of that rank costs 6,144. The
published 76 % less needs the widths of a 7-billion-parameter model.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from ketune.circuits import Reuploading, drawing
from ketune.ground.checks import Count, Positive
from ketune.methods import AdapterMethod
from ketune.tuners.hybrid import QTHAConfig
from ketune.tuners.tuner import Dropout


@dataclass(frozen=True, kw_only=True)
class QTHA(AdapterMethod):
    """Quantum tensor hybrid adaptation of the query and value maps."""

    title = "QTHA"
    family = "quantum"
    source = "arXiv:2503.12790"
    adapter = QTHAConfig
    fixed: ClassVar[dict[str, Any]] = {"network": "quantum"}

    r: Count
    bond: Count
    layers: Count
    alpha: Positive
    dropout: Dropout
    learning_rate: Positive

    def card(self, model: nn.Module) -> dict[str, Any]:
        """Qubits and gates of the network."""
        network = Reuploading(self.r, self.layers)
        return {
            "qubits": self.r,
            "layers": self.layers,
            "gates": network.gate_counts,
            "two_qubit_gates": network.two_qubit_gates,
            "depth": network.depth,
            "bond": self.bond,
            "drawing": drawing(network),
        }
