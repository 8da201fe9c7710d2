"""The tuner behind every adapter of the form h + scale · W_up f(h), with h the output of a block.

QAA and its controls are this tuner with different feature maps f; nothing else differs between them. The block is the
attention or the feed-forward block, and it is adapted by wrapping its last linear map, whose output is the output of
the block. This module does not know any f.

Source: arXiv:2509.16244, Sec. 3.1-3.3. Shapes: B batch, T positions, d hidden width, n features.
"""

import warnings
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor, nn

from ketune.ground.errors import InputError
from ketune.tuners.layers import OutputLayer
from ketune.tuners.tuner import AdapterConfig, Tuner

Placement = Literal["attention", "feedforward", "both"]


class Features(Protocol):
    """A feature map: a module from (…, d) to (…, n) that tells n."""

    features: int

    def __call__(self, h: Tensor) -> Tensor: ...


def qubits(width: int) -> int:
    """n = ceil(log2 d), the number of qubits whose amplitudes hold a vector of width d, and of QAA's features."""
    return (width - 1).bit_length()


def placed(placement: Placement) -> tuple[str, ...]:
    """The field names of `tuners.Sites` that a placement means."""
    return ("attention", "feedforward") if placement == "both" else (placement,)


@dataclass
class ResidualConfig(AdapterConfig):
    """What all residual adapters share.

    Args:
        placement: the blocks to adapt: "attention", "feedforward" or "both".
        scale: factor before W_up f(h).
    """

    placement: Placement = "attention"
    scale: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.target_modules == "all-linear":
            raise InputError(
                f"{self.kind}.target_modules: 'all-linear' would adapt maps inside the blocks as well; allowed are "
                "name suffixes of maps that end a block, or None for those of `placement`."
            )
        if not self.scale:
            raise InputError(f"{self.kind}.scale: 0 switches the adapter off; allowed is any other number.")

    def sites(self) -> tuple[str, ...]:
        """The last maps of the chosen blocks."""
        return placed(self.placement)

    def feature_map(self, width: int) -> nn.Module:
        """f for hidden vectors of `width`; see `Features`."""
        raise NotImplementedError

    def rows(self, width: int) -> int:
        """Rows of W_up, d unless a method pads them."""
        return width

    def adapter(self, inputs: int, outputs: int) -> nn.Module:
        """The adapter of one block whose output is `outputs` wide."""
        if outputs < 2:
            raise InputError(f"{self.kind}: the width {outputs} was given; allowed are maps of at least 2 outputs.")
        features = self.feature_map(outputs)
        return ResidualAdapter(features, outputs, self.rows(outputs), self.scale, self.init_weights)  # type: ignore[arg-type]


class ResidualAdapter(nn.Module):
    """scale · W_up f(h), zero at the start because W_up is."""

    def __init__(self, features: Features, width: int, rows: int, scale: float, identity: bool) -> None:
        super().__init__()
        self.feature_map, self.width, self.scale = features, width, scale
        self.up = nn.Linear(features.features, rows, bias=False)
        if identity:
            nn.init.zeros_(self.up.weight)

    @property
    def dead_parameters(self) -> int:
        """Weights of W_up that never receive a gradient: the rows beyond the hidden width."""
        return self.up.weight[self.width :].numel()

    def forward(self, h: Tensor) -> Tensor:
        """h (B, T, d) → (B, T, d)."""
        z = self.feature_map(h).to(self.up.weight.dtype)  # (B, T, n)
        return self.scale * nn.functional.linear(z, self.up.weight[: self.width])


class ResidualTuner(Tuner):
    """Wraps the last linear map of each adapted block; a subclass names its prefix."""

    tuner_layer_cls = OutputLayer

    def _prepare_model(self, peft_config: ResidualConfig, model: nn.Module) -> None:
        config = getattr(model, "config", None)
        dropout = max((getattr(config, name, 0.0) or 0.0) for name in ("resid_pdrop", "resid_dropout", "dropout"))
        if dropout > 0:
            warnings.warn(
                f"residual dropout is {dropout}: in training the adapter reads the block's output before that dropout. "
                "Set it to 0 for an adapter that stands exactly after the block.",
                stacklevel=2,
            )
