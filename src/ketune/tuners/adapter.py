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

from ketune.ground.checks import Positive, Range, checked
from ketune.ground.errors import InputError, nearest
from ketune.tuners.sites import Backbone

Dropout = Annotated[float, Range(low=0, below=1)]
OTHERS = "others"
"""The group of trained weights that are not the adapter's."""


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

    def owns(self, parameter: str) -> bool:
        """Whether the trained tensor of that qualified name is the adapter's, and not trained beside it."""
        return True

    def parameter_groups(
        self, model: nn.Module, rates: Mapping[str, float], others: float | None = None
    ) -> list[dict[str, Any]]:
        """Groups for an optimiser of torch, one for each rate: `params`, `rate` (its name), `lr` and `apart`.

        A part that `own_part` names stands apart where it is given a rate: the study clips its gradient by its own
        norm. So the vector beside features learns as it does alone, however large the gradient of the features is.

        Args:
            model: with this adapter.
            rates: the learning rate of each part; those that `own_part` names may be left out.
            others: that of trained weights that are not the adapter's, such as `modules_to_save`.

        Raises:
            InputError: a rate is not positive or of a part without trained weights, or trained weights have no rate.
        """
        given = {**rates, OTHERS: others} if others is not None else dict(rates)
        found: dict[str, list[nn.Parameter]] = {}
        apart: set[str] = set()
        known: set[str] = set()
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                own = self.own_part(name) if self.owns(name) else None
                part = own if own in given else self.part(name) if self.owns(name) else OTHERS
                found.setdefault(part, []).append(parameter)
                known |= {part, own or part}
                if part == own:
                    apart.add(part)
        for part in (part for part in given if part not in found):
            listed = ", ".join(sorted(known)) or "none"
            raise InputError(f"rates: {part!r} has no trained weights; {listed} have.{nearest(part, known)}")
        for part in (part for part in found if part not in given):
            keyword = " as others=, since they are not the adapter's" if part == OTHERS else ""
            raise InputError(f"rates: {part!r} has trained weights and no rate; give one{keyword}.")
        return [
            {
                "params": found[part],
                "rate": part,
                "lr": checked(rate, Positive, f"rates.{part}"),
                "apart": part in apart,
            }
            for part, rate in given.items()
        ]

    def callbacks(self) -> "list[TrainerCallback]":
        """What a Trainer has to call for it, such as a proximal step after each step of the optimiser."""
        return []

    def card(self, model: nn.Module) -> dict[str, Any]:
        """Facts about the trained adapter for the report: ranks left, qubits, gates, backend. JSON types only."""
        return {}
