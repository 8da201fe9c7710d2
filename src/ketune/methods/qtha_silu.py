"""qtha_silu: QTHA with a SiLU network in place of the quantum one. What it reaches, any nonlinearity explains.

At r = 4 both networks have the same number of parameters; the tuner is in `ketune.tuners.hybrid`.
"""

from dataclasses import dataclass

from peft import get_peft_model
from torch import nn
from transformers import PreTrainedModel

from ketune.checks import Count, Positive
from ketune.methods import Backbone, Method
from ketune.tuners.hybrid import QTHAConfig
from ketune.tuners.sites import suffixes
from ketune.tuners.tuner import Dropout, configure


@dataclass(frozen=True, kw_only=True)
class QTHASilu(Method):
    """QTHA with a SiLU network in place of the quantum network."""

    title = "QTHA, SiLU"
    family = "control"
    source = "this project, after the siblings in the released code of arXiv:2503.12790"

    r: Count
    bond: Count
    layers: Count
    alpha: Positive
    dropout: Dropout
    learning_rate: Positive

    def config(self) -> QTHAConfig:
        """The configuration of the tuner."""
        return configure(QTHAConfig, self, network="silu")

    def attach(self, model: PreTrainedModel) -> nn.Module:
        """The model with adapters beside its query and value maps."""
        return get_peft_model(model, self.config())

    def expected_parameters(self, backbone: Backbone) -> int:
        """See `QTHAConfig.parameters`."""
        return sum(self.config().parameters(i, o) for i, o in backbone.sites(*suffixes("query_value")))
