"""Every adapter of the form h + scale · (W_up (f(h) - m) + b), with h the output of a block.

QAA and its controls are this adapter with different feature maps f, and differ in nothing else. m is the mean of the
features over training data and b a bias: with b, a trained vector alone is a special case of QAA and of every control.
The block is the attention or the feed-forward block, and it is adapted by wrapping its last linear map, whose output is
the output of the block, but in Gemma 2 and 3 and OLMo 2, which normalise it before they add it to the residual stream.
This module does not know any f.

Source: arXiv:2509.16244, Sec. 3.1-3.3. Shapes: B batch, T positions, d hidden width, n features.
"""

import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from ketune.ground.errors import InputError
from ketune.tuners.layers import OutputLayer
from ketune.tuners.moments import Moments
from ketune.tuners.tuner import AdapterConfig

Placement = Literal["attention", "feedforward", "both"]


class Features(Protocol):
    """A feature map: a module from (…, d) to (…, n) that tells n."""

    features: int

    def __call__(self, h: Tensor) -> Tensor: ...


@dataclass
class ResidualConfig(AdapterConfig):
    """What all residual adapters share.

    Args:
        placement: the blocks to adapt: "attention", "feedforward" or "both"; not read where `target_modules` is given,
            as in a saved configuration, which has both.
        scale: factor before all that is added to h.
        centre: "data" subtracts from the features their mean over training data, taken once by `measure_features`;
            "none" leaves them as they are, as in the paper.
        with_bias: add a trained vector, so that what the features do beyond it is told apart; the paper has none.
    """

    placement: Placement = "attention"
    scale: float = 1.0
    centre: Literal["data", "none"] = "none"
    with_bias: bool = False

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
        return ("attention", "feedforward") if self.placement == "both" else (self.placement,)

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
        return ResidualAdapter(self.feature_map(outputs), outputs, self.rows(outputs), self)  # type: ignore[arg-type]  # a Features

    def own_part(self, parameter: str) -> str | None:
        """The bias; where the weights of features want a much smaller rate, it hardly learns at theirs."""
        return "bias" if "_adapter." in parameter and parameter.endswith(".bias") else None

    def has_part(self, part: str) -> bool:
        """The bias where it is asked for, and everything else."""
        return part != "bias" or self.with_bias

    def prepare(self, model: nn.Module, batches: Iterable[Mapping[str, Tensor]]) -> None:
        """Measure the features of every block, and take their mean where they are to be centred."""
        measure_features(model, batches)

    def card(self, model: nn.Module) -> dict[str, Any]:
        """Mean, deviation and effective rank of the features before training: the means over all blocks."""
        found = [adapter.facts for adapter in residual_adapters(model) if adapter.facts]
        return {key: float(f"{statistics.fmean(facts[key] for facts in found):.4g}") for key in (found or [{}])[0]}


class ResidualAdapter(nn.Module):
    """scale · (W_up (f(h) - m) + b), zero at the start because W_up and b are; m and b are there where asked for."""

    mean: Tensor | None

    def __init__(self, features: Features, width: int, rows: int, config: ResidualConfig) -> None:
        super().__init__()
        self.feature_map, self.width, self.scale = features, width, config.scale
        self.up = nn.Linear(features.features, rows, bias=False)
        self.bias = nn.Parameter(torch.zeros(width)) if config.with_bias else None
        self.register_buffer("mean", torch.zeros(features.features) if config.centre == "data" else None)
        self.moments: tuple[Moments, Tensor | None] | None = None  # with the batch's mask, while they are measured
        self.facts: dict[str, float] = {}
        if config.init_weights:
            nn.init.zeros_(self.up.weight)

    @property
    def dead_parameters(self) -> int:
        """Weights of W_up that never receive a gradient: the rows beyond the hidden width."""
        return self.up.weight[self.width :].numel()

    def forward(self, h: Tensor) -> Tensor:
        """h (B, T, d) → (B, T, d)."""
        z = self.feature_map(h)  # (B, T, n)
        if self.moments is not None:
            self.moments[0].add(z, self.moments[1])
        if self.mean is not None:
            z = z - self.mean
        weight = self.up.weight
        return self.scale * nn.functional.linear(z.to(weight.dtype), weight[: self.width], self.bias)


def residual_adapters(model: nn.Module) -> list[ResidualAdapter]:
    """Every residual adapter of a model."""
    return [module for module in model.modules() if isinstance(module, ResidualAdapter)]


def without_gradient(model: nn.Module) -> int:
    """Trainable weights that can never receive a gradient: the rows of a padded up projection."""
    return sum(adapter.dead_parameters for adapter in residual_adapters(model))


@torch.no_grad()
def measure_features(model: nn.Module, batches: Iterable[Mapping[str, Tensor]]) -> None:
    """Measure the features of every active residual adapter on a few batches; those to be centred take the mean.

    To be called once, after the adapters are attached and before they are trained: they then change nothing, so what
    they see is what the frozen model computes.

    Args:
        model: with adapters.
        batches: what the model is called with, by name. Without an `attention_mask` (B, T) every position counts; in
            the decoder of an encoder-decoder model it is the `decoder_attention_mask`, or else labels other than -100.

    Raises:
        InputError: no residual adapter is active, one to be centred is trained already, or the batches are none or have
            no position that is not masked.
    """
    if isinstance(batches, (Mapping, Tensor)):
        raise InputError("measure_features: one batch was given; give a list of batches.")
    named = model.named_modules()
    layers = [(module, _masks(model, name)) for name, module in named if isinstance(module, OutputLayer)]
    places = [(each, mask) for layer, mask in layers for each in layer.working() if isinstance(each, ResidualAdapter)]
    adapters = [adapter for adapter, _ in places]
    if any(adapter.mean is not None and adapter.up.weight.any() for adapter in adapters):
        raise InputError("measure_features: an adapter is trained, and another mean would change it; measure before.")
    if not adapters:
        raise InputError(
            "measure_features: no adapter with features is active in this model; activate one by set_adapter."
        )
    found, modes, given = [Moments() for _ in adapters], [(module, module.training) for module in model.modules()], 0
    model.eval()
    try:
        for batch in batches:
            given += 1
            for (adapter, mask), moments in zip(places, found, strict=True):
                adapter.moments = moments, mask(batch)
            model(**batch)
    finally:
        for module, training in modes:
            module.training = training
        for adapter in adapters:
            adapter.moments = None
    if not all(moments.positions for moments in found):
        raise InputError(
            f"measure_features: {given} batches were given, with no position whose attention_mask is 1; give batches "
            "of training data."
        )
    for adapter, moments in zip(adapters, found, strict=True):
        adapter.facts = moments.facts()
        if adapter.mean is not None:
            adapter.mean.copy_(moments.mean)


def _masks(model: nn.Module, name: str) -> Callable[[Mapping[str, Tensor]], Tensor | None]:
    """Which positions of a batch count at the layer called `name`."""
    if not getattr(getattr(model, "config", None), "is_encoder_decoder", False) or ".decoder." not in f".{name}":
        return lambda batch: batch.get("attention_mask")

    def decoded(batch: Mapping[str, Tensor]) -> Tensor | None:
        labels = batch.get("labels")
        return batch.get("decoder_attention_mask", None if labels is None else labels != -100)

    return decoded
