"""What a method asks of the adapter that it is made of, whether the adapter is ketune's own, peft's, or none at all.

Each file of this folder that says `ADAPTER = …` is a kind of adapter, and the file's name is the kind's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, Self, get_type_hints

from torch import Tensor, nn
from transformers import PreTrainedModel

if TYPE_CHECKING:
    from transformers import TrainerCallback

from ketune.ground.checks import Range
from ketune.tuners.sites import Backbone

Dropout = Annotated[float, Range(low=0, below=1)]


class Adapter:
    """A dataclass of settings that can put itself into a model."""

    @property
    def angles_in_radians(self) -> bool:
        """Whether how far the part called "angles" moves is told in radians; else it is told relative to its norm."""
        return True

    @classmethod
    def settings(cls) -> dict[str, Any]:
        """Name → annotated type of each setting that a method can fix or leave to its section in `params.yaml`."""
        hints = get_type_hints(cls, include_extras=True)
        return {field.name: hints[field.name] for field in fields(cls)}  # type: ignore[arg-type]  # its subclasses are dataclasses

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Name → default of each setting."""
        made = cls()
        return {name: getattr(made, name) for name in cls.settings()}

    @classmethod
    def configured(cls, settings: Mapping[str, Any]) -> Self:
        """The adapter with these settings; it refuses what does not fit together."""
        return cls(**settings)

    def attach(self, model: PreTrainedModel) -> nn.Module:
        """Turn the model into the one to train; `requires_grad` then marks exactly what is trained, in float32."""
        raise NotImplementedError

    def expected_parameters(self, backbone: Backbone) -> int:
        """Number of trainable parameters in closed form."""
        raise NotImplementedError

    def prepare(self, model: nn.Module, batches: Iterable[Mapping[str, Tensor]]) -> None:
        """Look at a few batches of training data before training; it must draw nothing at random."""

    def set_runtime(self, model: nn.Module) -> None:
        """Give a restored model the settings that say where it runs, which are not saved with it."""

    def part(self, parameter: str) -> str:
        """The part with a learning rate of its own that the trained tensor of that qualified name belongs to."""
        return "weights"

    def own_part(self, parameter: str) -> str | None:
        """The part that the tensor belongs to where that part is given a rate; None where `part` says all there is."""
        return None

    def has_part(self, part: str) -> bool:
        """Whether any parameter belongs to that part with these settings."""
        return True

    def callbacks(self) -> "list[TrainerCallback]":
        """What a Trainer has to call for it, such as a proximal step after each step of the optimiser."""
        return []

    def card(self, model: nn.Module) -> dict[str, Any]:
        """Facts about the trained adapter for the report: ranks left, qubits, gates, backend. JSON types only."""
        return {}
