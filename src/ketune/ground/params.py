"""`params.yaml` as frozen dataclasses: every key known, typed and within its range, or one sentence that says why not.

The file has three kinds of keys. *Fixed* ones (data, language_model, train, tune, generate, score, report, hardware,
plan) are the same for every method. Each method has a section of its own with its *scientific* keys and its *nuisance*
keys (learning rates). Last come the lists `methods` and `seeds`. No default hides in code: a missing key is an error.

The file is read as DVC reads it (YAML 1.2): `010` is ten for both, `1e-05` a number, `1:30` a text. This module checks
values; it knows neither what they do nor any method.
"""

from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from ruamel.yaml import YAML, YAMLError

from ketune.ground import contrasts
from ketune.ground.checks import Count, Fraction, NonNegative, Positive, Probability, Range, Seed, Whole, build, checked
from ketune.ground.contrasts import Contrast
from ketune.ground.errors import InputError, nearest, shown


@dataclass(frozen=True, kw_only=True)
class Data:
    """Where the records come from and how they are split."""

    source: str
    hub: str | None
    revision: str | None
    retention: str
    test_fraction: Fraction
    validation_fraction: Fraction
    dropped_at_most: Annotated[float, Range(low=0, high=1)]


@dataclass(frozen=True, kw_only=True)
class LanguageModel:
    """The frozen model that every method adapts."""

    name: str
    revision: str | None


@dataclass(frozen=True, kw_only=True)
class Train:
    """The training budget, equal for every method."""

    steps: Count
    batch_size: Count
    accumulation: Count
    max_tokens: Annotated[int, Range(low=16)]
    schedule: Literal["cosine", "linear", "constant"]
    warmup_steps: Whole
    weight_decay: NonNegative
    gradient_clip: Positive
    precision: Literal["bf16", "fp32"]
    device: str
    processes: Count
    checkpoint_every: Count


@dataclass(frozen=True, kw_only=True)
class Generate:
    """How answers are decoded and likelihoods measured; temperature 0 is greedy decoding."""

    prompts: Count
    likelihood_records: Count
    max_new_tokens: Count
    temperature: NonNegative
    batch_tokens: Count
    precision: Literal["bf16", "fp32"]
    device: str


@dataclass(frozen=True, kw_only=True)
class Score:
    """How answers are scored."""

    bert_model: str


@dataclass(frozen=True, kw_only=True)
class Tune:
    """The budget of the search for learning rates, equal for every method whatever the number of its rates."""

    all: bool
    trials: Literal[2, 4, 8, 16, 32]
    refined: Literal[0, 2, 4, 8, 16]
    confirmed: Annotated[int, Range(low=2)]
    horizon: Annotated[float, Range(above=0, high=1)]
    validation_records: Count
    seed: Seed

    @property
    def seeds(self) -> tuple[int, int]:
        """That of all trials, and that on which the best are run again."""
        return self.seed, self.seed + 1


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """How the circuits of trained methods are read once more, as a quantum computer would; no methods, no such run."""

    methods: tuple[str, ...]
    records: Count
    shots: tuple[Count, ...]
    depolarizing: Probability
    readout: Probability
    machine: str | None


@dataclass(frozen=True, kw_only=True)
class Report:
    """How scores become statements."""

    reference: str
    confidence: Annotated[float, Range(low=0.5, below=1)]
    regression: NonNegative
    show_samples: bool

    @property
    def alpha(self) -> float:
        """The error allowed, 1 - confidence."""
        return 1.0 - self.confidence


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a study declares before it runs; the first difference is the one that it must find."""

    seeds: Annotated[int, Range(low=3)]
    references: Annotated[int, Range(low=2)]
    differences: tuple[Positive, ...]
    contrasts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Params:
    """The whole of `params.yaml`; `sections` maps each listed method to its raw section."""

    data: Data
    language_model: LanguageModel
    train: Train
    generate: Generate
    score: Score
    tune: Tune
    report: Report
    hardware: Hardware
    plan: Plan
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    sections: dict[str, dict[str, Any]]

    @property
    def contrasts(self) -> list[Contrast]:
        """The comparisons that were declared before the run."""
        return [contrasts.read(text, f"plan.contrasts[{i}]") for i, text in enumerate(self.plan.contrasts)]

    @property
    def runs(self) -> list[tuple[str, int]]:
        """Every (method, seed), in the order of the lists."""
        return [(method, seed) for method in self.methods for seed in self.seeds]

    def section(self, method: str) -> dict[str, Any]:
        """The raw section of a listed method.

        Raises:
            InputError: the method is not listed.
        """
        if method not in self.sections:
            raise InputError(f"methods: {method!r} is not listed; params.yaml lists {', '.join(self.methods)}.")
        return self.sections[method]


BLOCKS: dict[str, Any] = {name: kind for name, kind in get_type_hints(Params).items() if is_dataclass(kind)}


def load(path: Path = Path("params.yaml")) -> Params:
    """Read and check the parameters.

    Raises:
        InputError: the file is missing or no YAML mapping, or a key is unknown, missing, mistyped or out of range.
    """
    raw = read(path)
    methods = _distinct(raw, "methods", str, "[base, lora, qaa]")
    seeds = _distinct(raw, "seeds", Seed, "[0, 1, 2]")
    for key in (key for key in BLOCKS if key not in raw):
        raise InputError(f"{key}: missing from {path}; see the section {key!r} in the project's params.yaml.")
    known = [key for key in raw if key not in (*BLOCKS, "methods", "seeds")]
    for key in (key for key in known if not isinstance(raw[key], dict)):
        raise InputError(f"{key}: unknown key in {path}.{nearest(key, [*BLOCKS, 'methods', 'seeds'])}")
    for method in methods:
        if not method.isidentifier():
            raise InputError(f"methods: {method!r} is no method's name; names have letters, digits and underscores.")
        if not isinstance(raw.get(method), dict):
            raise InputError(f"methods: {method!r} has no section in {path}; add one, or drop it from the list.")
    blocks = {key: build(kind, raw[key], key) for key, kind in BLOCKS.items()}
    params = Params(**blocks, methods=methods, seeds=seeds, sections={method: raw[method] for method in methods})
    _check_together(params)
    contrasts.check(params.contrasts, params.report.reference, known)
    return params


def read(path: Path) -> dict[str, Any]:
    """The file's mapping as it stands, unchecked.

    Raises:
        InputError: the file is missing or no YAML mapping.
    """
    try:
        raw = YAML(typ="safe").load(path.read_text(encoding="utf-8"))  # dvc's own call
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run from the project's folder.") from None
    except RecursionError:
        raise InputError(f"{path}: nested too deeply; sections hold texts, numbers and lists.") from None
    except (YAMLError, ValueError, KeyError) as error:  # the last two: a date, a number or a tag that cannot be
        raise InputError(f"{path}: no valid YAML ({' '.join(str(error).split())}).") from error
    if not isinstance(raw, dict):
        raise InputError(f"{path}: {shown(raw)} is not allowed; a mapping of sections is expected, such as seeds: [0].")
    return raw


def _distinct(raw: dict[str, Any], key: str, item: Any, example: str) -> tuple[Any, ...]:
    """The list under `key`: one item or more, none twice."""
    if not isinstance(raw.get(key), list) or not raw[key]:
        raise InputError(f"{key}: {shown(raw.get(key))} is not allowed; a list is expected, such as {example}.")
    values = checked(raw[key], tuple[item, ...], key)
    if twice := [value for value in values if values.count(value) > 1]:
        raise InputError(f"{key}: {twice[0]!r} stands in the list twice; list each item once.")
    return values


def _check_together(params: Params) -> None:
    if (held := (data := params.data).test_fraction + data.validation_fraction) >= 1:
        raise InputError(f"data.test_fraction and data.validation_fraction: together {held:g}; allowed is less than 1.")
    if data.hub is not None and data.revision is None:
        raise InputError(f"data.revision: missing; pin the hub dataset {data.hub!r} by a commit of its repository.")
    if not params.plan.differences:
        raise InputError("plan.differences: [] is not allowed; list nats per token, what must be found first: [0.05].")
    if (told := params.train.warmup_steps) >= (most := params.train.steps):
        raise InputError(f"train.warmup_steps: {told} is out of range; allowed is a number below train.steps, {most}.")
    if (batch := params.train.batch_size) % (shared := params.train.processes):
        raise InputError(f"train.processes: {shared} cannot share train.batch_size, {batch}, evenly; choose a divisor.")
    for method in (name for name in params.hardware.methods if name not in params.methods):
        raise InputError(f"hardware.methods: {method!r} is not among methods, so nothing trains it; list it there too.")
    if (machine := params.hardware.machine) is not None and not params.hardware.shots:
        raise InputError(f"hardware.shots: [] is not allowed with hardware.machine {machine!r}; list one, as [1000].")
    if clash := set(params.tune.seeds) & set(params.seeds):
        why = f"seeds lists {min(clash)}: rates would be judged by the runs that chose them"
        raise InputError(f"tune.seed: {params.tune.seed} is not allowed; {why}. It and the next number must be others.")
