"""What the stages hand to one another: each file under `data/` holds one of these records, or rows of them.

`prepare` writes Example, Passage and Preparation; `train` CurvePoint and TrainingRecord; `generate` Answer and
Likelihood. Reading checks every field, so that no stage meets a record of another shape than it was made for. How
records are laid out in files is the business of `ketune.ground.files`.
"""

from dataclasses import dataclass

from typing_extensions import TypeAliasType

# What a method may say about itself: anything that JSON can hold.
Fact = TypeAliasType("Fact", "str | int | float | bool | list[Fact] | dict[str, Fact] | None")


@dataclass(frozen=True, kw_only=True)
class Example:
    """One record of the data: an instruction, its input (may be empty) and the reference answer."""

    id: str
    instruction: str
    input: str
    output: str


@dataclass(frozen=True, kw_only=True)
class Passage:
    """One paragraph of neutral text."""

    id: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """How the data became splits.

    Attributes:
        read: records in the source.
        dropped: reason → records that were left out.
        sizes: split → records.
        passages: paragraphs of neutral text.
    """

    read: int
    dropped: dict[str, int]
    sizes: dict[str, int]
    passages: int


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
class MethodFacts:
    """What figures and tables call a method, the family that decides its colour, and where it comes from."""

    title: str
    family: str
    source: str


@dataclass(frozen=True, kw_only=True)
class TrainingRecord:
    """All that a training run says about itself, beside its curve.

    Attributes:
        adapter_bytes: size of the saved weights.
        card: the method's own facts about what was trained, such as qubits or ranks left.
        resumed_from: the step that a checkpoint took over from, 0 for an undisturbed run.
        prompts_too_long: training records that were left out because their prompt fills `train.max_tokens`.
    """

    method: MethodFacts
    parameters: ParameterCounts
    cost: TrainingCost
    machine: Machine
    device: str
    adapter_bytes: int
    card: dict[str, Fact]
    resumed_from: int
    prompts_too_long: int


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a run answered to one prompt.

    Attributes:
        new_tokens: tokens that were generated, the end-of-text token included.
        finished: the model ended the answer itself; otherwise it was cut at `generate.max_new_tokens`.
    """

    id: str
    instruction: str
    input: str
    reference: str
    prediction: str
    new_tokens: int
    finished: bool


@dataclass(frozen=True, kw_only=True)
class Likelihood:
    """Negative log-likelihood of one text, summed over its scored tokens, in nats."""

    id: str
    negative_log_likelihood: float
    tokens: int


@dataclass(frozen=True, kw_only=True)
class PlantedDifference:
    """Held-out loss of a judged method minus that of a control, in nats per token, with its interval and word."""

    control: str
    difference: float
    low: float
    high: float
    word: str


@dataclass(frozen=True, kw_only=True)
class PlantedVerdict:
    """What was said of one method in a planted study.

    Attributes:
        expected, contributes: what had to be said, and what was said, of the part that its controls lack.
        sentence: the report's own.
        loss: mean held-out loss of its runs, in nats per token.
        angle_errors: for each seed, the median distance of its angles from the teacher's in radians, up to what no
            feature tells; None where either has none.
    """

    method: str
    expected: bool
    contributes: bool
    sentence: str
    loss: float
    differences: tuple[PlantedDifference, ...]
    angle_errors: tuple[float, ...] | None

    @property
    def right(self) -> bool:
        """What was said is what had to be said."""
        return self.contributes == self.expected


@dataclass(frozen=True, kw_only=True)
class PlantedStudy:
    """The pipeline on records whose maker is known.

    Attributes:
        name: of the study.
        teacher: the method that made the records.
        teacher_loss, base_loss: held-out loss of the teacher and of the untuned model, in nats per token.
        date: of the run, ISO 8601.
    """

    name: str
    teacher: str
    teacher_loss: float
    base_loss: float
    verdicts: tuple[PlantedVerdict, ...]
    seeds: tuple[int, ...]
    steps: int
    training_records: int
    test_records: int
    date: str
    wall_seconds: float
    packages: dict[str, str]
