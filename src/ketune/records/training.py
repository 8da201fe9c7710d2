"""Learning rates and how they were found (`tune`), and what a training run says about itself (`train`)."""

from dataclasses import dataclass
from typing import Literal

from typing_extensions import TypeAliasType

# What a method may say about itself: anything that JSON can hold.
Fact = TypeAliasType("Fact", "str | int | float | bool | list[Fact] | dict[str, Fact] | None")


@dataclass(frozen=True, kw_only=True)
class Movement:
    """How far a part of a method, the weights that share a learning rate, travelled in training from its start.

    Attributes:
        part: the name of its learning rate.
        unit: "radians": `distance` is the median of |Δθ| over the part's angles, and `largest` the largest. "relative":
            `distance` is ‖Δ‖ over the norm of the start. "norm": the part began at 0 and `distance` is ‖Δ‖.
    """

    part: str
    unit: Literal["radians", "relative", "norm"]
    distance: float
    largest: float | None


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training run at given learning rates.

    Attributes:
        loss: on validation records, in nats per token; None where training diverged.
        moved: of each part; empty where training diverged.
    """

    rates: dict[str, float]
    seed: int
    loss: float | None
    moved: tuple[Movement, ...]


@dataclass(frozen=True, kw_only=True)
class Search:
    """How learning rates were found.

    Attributes:
        ranges: searched rate → its lowest and highest value.
        trials: in the order in which they were run.
        untrained: the validation loss of the model without training.
        noise: standard error of the difference of two candidates' mean losses, nats per token; None for one candidate.
        edges: searched rate → "lower" or "upper", where the winner's is the smallest or the largest that was tried.
        remarks: sentences on what was set aside, and why.
        setting: what the rates were searched for: data, model, records, steps, batch, precision; schedule, decay and
            clipping, and the method's own settings, as qaa.layers, which older records lack.
    """

    ranges: dict[str, tuple[float, float]]
    trials: tuple[Trial, ...]
    untrained: float
    noise: float | None
    edges: dict[str, Literal["lower", "upper"]]
    remarks: tuple[str, ...]
    setting: dict[str, Fact]


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """The learning rates that a method is trained with; `search` is None where all of them were given."""

    rates: dict[str, float]
    search: Search | None


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """One optimiser step: the batch's loss in nats per token, and the norm of its gradient before clipping."""

    step: int
    loss: float
    gradient_norm: float
    learning_rate: float


@dataclass(frozen=True, kw_only=True)
class ParameterCounts:
    """Weights of a model; tied ones count once.

    Attributes:
        total: all of them.
        trainable: those that the optimiser may change.
        receiving: those that received a gradient other than zero at least once, or None where nothing was trained.
    """

    total: int
    trainable: int
    receiving: int | None


@dataclass(frozen=True, kw_only=True)
class TrainingCost:
    """What training took.

    Attributes:
        tokens_per_second: tokens of prompts and responses; None where nothing was trained.
        peak_memory_bytes: of the GPU, or of the whole process on a CPU.
        energy_joules: of the processor package; None where no counter can be read.
    """

    wall_seconds: float
    tokens_per_second: float | None
    peak_memory_bytes: int
    energy_joules: float | None


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where something was measured: costs compare between equal machines only."""

    processor: str
    cores: int
    threads: int
    memory_bytes: int
    accelerator: str | None
    system: str
    python: str
    packages: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class TrainingRecord:
    """All that a training run says about itself, beside its curve.

    Attributes:
        attention: how attention was computed in training.
        adapter_bytes: size of the saved weights.
        card: the method's own facts about what was trained, such as qubits or ranks left.
        moved: of each part of the method; empty where nothing was trained.
        resumed_from: the step that a checkpoint took over from, 0 for an undisturbed run.
    """

    parameters: ParameterCounts
    cost: TrainingCost
    machine: Machine
    device: str
    attention: Literal["eager", "sdpa"]
    adapter_bytes: int
    card: dict[str, Fact]
    moved: tuple[Movement, ...]
    resumed_from: int
