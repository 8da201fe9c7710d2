"""The layers that hold adapters: a linear map, wrapped, with one small module per adapter name.

Three ways to act, and nothing about what acts: `OutputLayer` reads the map's output h and returns h + adapter(h),
`InputLayer` reads its input x and returns W0 x + adapter(x), `WeightLayer` is an `InputLayer` whose adapter is a change
of W0 and can be merged. Several active adapters add up; each reads the output (or input) of the unadapted map, so their
order does not matter.

Shapes: B batch, T positions, i inputs, o outputs of the wrapped map. This module knows no method.
"""

from typing import Any, Protocol, cast

import torch
from peft.tuners.tuners_utils import BaseTunerLayer, check_adapters_to_merge
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from ketune.ground.errors import InputError


class _Config(Protocol):
    inference_mode: bool

    def adapter(self, inputs: int, outputs: int) -> nn.Module: ...


def widths(layer: nn.Module, name: str) -> tuple[int, int]:
    """(inputs, outputs) of a linear map.

    Raises:
        InputError: `layer` is none.
    """
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    if isinstance(layer, Conv1D):  # GPT-2's linear map, stored transposed
        return layer.nx, layer.nf
    raise InputError(
        f"target_modules: {name!r} is a {type(layer).__name__}; allowed are torch.nn.Linear and transformers' Conv1D."
    )


class AdapterLayer(nn.Module, BaseTunerLayer):
    """A wrapped linear map with named adapters, in the form that peft's machinery expects.

    All that belongs to an adapter is in one module, `<prefix>adapter[name]`, so there is nothing else to forget when
    one is saved, moved or deleted.
    """

    reads_output: bool

    def __init__(self, base_layer: nn.Module, name: str, prefix: str) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.in_features, self.out_features = widths(self.get_base_layer(), name)
        self.adapter_layer_names = (f"{prefix}adapter",)
        setattr(self, f"{prefix}adapter", nn.ModuleDict())
        self._disable_adapters = False
        self._active_adapter: str | list[str] = []
        self.merged_adapters: list[str] = []

    @property
    def adapters(self) -> nn.ModuleDict:
        """The adapters by name."""
        return cast(nn.ModuleDict, getattr(self, self.adapter_layer_names[0]))

    def add(self, name: str, config: _Config, like: str | None = None) -> None:
        """Add an adapter; the first one added becomes active.

        Args:
            like: an adapter here whose fixed buffers it takes over, in place of its own draw.

        Raises:
            InputError: the name is that of one of the adapter's tensors, which peft would then leave out of a file.
        """
        adapter = config.adapter(self.in_features, self.out_features)
        taken = {part for key in adapter.state_dict() for part in key.split(".")}
        if name in taken:
            raise InputError(
                f"adapter_name: {name!r} is the name of one of the adapter's tensors, and files would lack that; any "
                f"name but {', '.join(sorted(taken))} is allowed."
            )
        _place(adapter, self.weight)
        if like is not None:
            for own, other in zip(adapter.buffers(), self.adapters[like].buffers(), strict=True):
                own.copy_(other)
        self.adapters[name] = adapter
        self.set_adapter(self.active_adapters or [name], inference_mode=config.inference_mode)

    def remove(self, name: str) -> None:
        """Take the adapter out where it is here, as if it had never been added."""
        if name in self.adapters:
            del self.adapters[name]
            self._active_adapter = [other for other in self.active_adapters if other != name]

    def _move_adapter_to_device_of_base_layer(self, adapter_name: str, device: torch.device | None = None) -> None:
        """As peft asks for it when it loads, but with fixed buffers as they are: peft's own rounds them."""
        _place(self.adapters[adapter_name], self.weight, device)

    def working(self) -> list[nn.Module]:
        """The adapters that act on the output now: active, not disabled, not merged into the weight."""
        if self.disable_adapters and self.merged:
            self.unmerge()
        if self.disable_adapters or self.merged:
            return []
        return [self.adapters[name] for name in self.active_adapters if name in self.adapters]

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """x (B, T, i) → (B, T, o), in the dtype of the wrapped map's output."""
        working = self.working()  # first, as it may take a merged adapter out of the weight
        h = self.base_layer(x, *args, **kwargs)
        read, total = h if self.reads_output else x, h
        for adapter in working:
            total = total + adapter(_cast(read, adapter)).to(h.dtype)
        return total

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Refuse: the adapter is no change of the weight.

        Raises:
            NotImplementedError: always; peft's own non-linear adapters raise the same.
        """
        raise NotImplementedError(cannot_merge(self.adapter_layer_names[0].removesuffix("_adapter")))

    def unmerge(self) -> None:
        """Nothing is ever merged."""


def cannot_merge(kind: str) -> str:
    """The sentence for adapters that in general no weight can hold."""
    return f"{kind}: the adapter, in general no linear map, is not merged into a weight; keep it beside the base model."


def _place(adapter: nn.Module, weight: Tensor, device: torch.device | None = None) -> None:
    """Move to the device, by default the weight's; parameters take its dtype, fixed buffers keep theirs, unrounded."""
    if any(parameter.is_meta for parameter in adapter.parameters()):
        return  # peft fills them from the file
    adapter._apply(lambda tensor: tensor.to(device or weight.device))
    if weight.is_floating_point() and weight.element_size() > 1:
        for parameter in adapter.parameters():
            parameter.data = parameter.data.to(weight.dtype)


def _cast(x: Tensor, adapter: nn.Module) -> Tensor:
    """x in the dtype of the adapter's trainable weights, which may be wider than the model's."""
    weight = next(adapter.parameters(), None)
    if weight is None:  # a copy that DataParallel made, whose weights are no parameters any more
        weight = next(one for part in adapter.modules() for one in getattr(part, "_former_parameters", {}).values())
    return x.to(weight.dtype)


class OutputLayer(AdapterLayer):
    """h + Σ adapter(h) with h the output of the wrapped map: the adapter of a block whose last map is wrapped."""

    reads_output = True


class InputLayer(AdapterLayer):
    """W0 x + Σ adapter(x): the adapter stands beside the wrapped map."""

    reads_output = False


class WeightLayer(InputLayer):
    """An `InputLayer` whose adapters have `delta() -> (o, i)`, the change of the weight that they amount to."""

    def __init__(self, base_layer: nn.Module, name: str, prefix: str) -> None:
        super().__init__(base_layer, name, prefix)
        self._unmerged_weight: Tensor | None = None

    @property
    def plain(self) -> bool:
        """Whether the weight is stored as it acts: no quantised numbers, no packed or sharded tensor."""
        ordinary = type(self.weight) in (Tensor, nn.Parameter)
        return ordinary and self.weight.is_floating_point() and self.weight.element_size() > 1

    def check_mergeable(self) -> None:
        """Whether the weight can take the adapters' change.

        Raises:
            InputError: it is quantised; the change would be rounded away, or added to something else.
        """
        if not self.plain:
            kind = self.adapter_layer_names[0].removesuffix("_adapter")
            raise InputError(
                f"{kind}: the base model's weights are {type(self.weight).__name__} of {self.weight.dtype}, and only "
                "plain floating-point weights can take a change; load the base model without quantisation, the "
                "adapter on it, and merge there."
            )

    def get_delta_weight(self, adapter: str) -> Tensor:
        """The change of the weight, oriented as it is stored (Conv1D: transposed), in its dtype where that is plain."""
        delta = cast(Tensor, cast(Any, self.adapters[adapter]).delta())
        delta = delta.to(self.weight.dtype) if self.plain else delta
        return delta.T if isinstance(self.get_base_layer(), Conv1D) else delta

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Add the adapters' changes to the weight; the weight before is kept, so `unmerge` is exact.

        Raises:
            InputError: the weight is quantised.
            ValueError: `safe_merge` and a sum is not finite; this map's weight is left as it was.
        """
        self.check_mergeable()
        names = [name for name in check_adapters_to_merge(self, adapter_names) if name in self.adapters]
        merged = self.weight.data
        for name in names:
            with torch.no_grad():
                merged = merged + self.get_delta_weight(name)
            if safe_merge and not torch.isfinite(merged).all():
                raise ValueError(f"NaNs detected in the merged weights. The adapter {name} seems to be broken")
        if names and self._unmerged_weight is None:
            self._unmerged_weight = self.weight.data
        self.weight.data = merged
        self.merged_adapters += names

    def unmerge(self) -> None:
        """Put the weight from before the first merge back, bit by bit."""
        if self._unmerged_weight is not None:
            weight = self.weight
            weight.data = self._unmerged_weight.to(weight.device, weight.dtype)
            self._unmerged_weight = None
            self.merged_adapters.clear()

    def supports_lora_conversion(self, adapter_name: str = "default") -> bool:
        """True: the change is a matrix, which peft can factorise."""
        return True
