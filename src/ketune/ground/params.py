"""`params.yaml` as frozen dataclasses: every key known, typed and within its range, or one sentence that says why not.

The file has three kinds of keys. *Fixed* ones (data, language_model, train, generate, score, report) are the same for
every method. Each method has a section of its own with its *scientific* keys and its *nuisance* keys (learning rates).
Last come the lists `methods` and `seeds`. No default hides in code: a missing key is an error.

This module checks values. It does not know what they do, and it does not know any method.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml

from ketune.ground.checks import Count, Fraction, NonNegative, Positive, Range, Whole, build
from ketune.ground.errors import InputError, nearest


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
    batch_size: Count
    precision: Literal["bf16", "fp32"]
    device: str


@dataclass(frozen=True, kw_only=True)
class Score:
    """How answers are scored."""

    bert_model: str


@dataclass(frozen=True, kw_only=True)
class Search:
    """The budget of the search for learning rates, equal for every method."""

    points: Annotated[int, Range(low=3)]
    ratio: Annotated[float, Range(above=1)]
    steps: Count
    seed: Whole
    validation_records: Count


@dataclass(frozen=True, kw_only=True)
class Report:
    """How scores become statements."""

    reference: str
    confidence: Annotated[float, Range(low=0.5, below=1)]
    resamples: Annotated[int, Range(low=100)]
    margin: Positive
    regression: NonNegative
    show_samples: bool


@dataclass(frozen=True, kw_only=True)
class Params:
    """The whole of `params.yaml`; `sections` maps each listed method to its raw section."""

    data: Data
    language_model: LanguageModel
    train: Train
    generate: Generate
    score: Score
    search: Search
    report: Report
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    sections: dict[str, dict[str, Any]]

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


BLOCKS = {
    "data": Data,
    "language_model": LanguageModel,
    "train": Train,
    "generate": Generate,
    "score": Score,
    "search": Search,
    "report": Report,
}


def load(path: Path = Path("params.yaml")) -> Params:
    """Read and check the parameters.

    Raises:
        InputError: the file is missing or no YAML mapping, or a key is unknown, missing, mistyped or out of range.
    """
    raw = _mapping(path)
    for key in BLOCKS:
        if key not in raw:
            raise InputError(f"{key}: missing from {path}; see the section {key!r} in the project's params.yaml.")
    lists = {key: _list(raw, key) for key in ("methods", "seeds")}
    for key, section in raw.items():
        if key not in BLOCKS and key not in lists and not isinstance(section, dict):
            raise InputError(f"{key}: unknown key in {path}.{nearest(key, [*BLOCKS, *lists])}")
    for method in lists["methods"]:
        if not isinstance(raw.get(method), dict):
            raise InputError(f"methods: {method!r} has no section in {path}; add one, or drop it from the list.")
    blocks = {key: build(kind, raw[key], key) for key, kind in BLOCKS.items()}
    params = Params(
        **blocks,
        methods=tuple(lists["methods"]),
        seeds=tuple(lists["seeds"]),
        sections={method: raw[method] for method in lists["methods"]},
    )
    _check_together(params)
    return params


def _mapping(path: Path) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run from the project's folder.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: no valid YAML ({' '.join(str(error).split())}).") from error
    if not isinstance(raw, dict):
        raise InputError(f"{path}: a mapping of sections is expected.")
    return raw


def _list(raw: dict[str, Any], key: str) -> list[Any]:
    kind, word = (str, "method names") if key == "methods" else (int, "whole numbers from 0")
    value = raw.get(key)
    fits = isinstance(value, list) and value and all(isinstance(v, kind) and not isinstance(v, bool) for v in value)
    if not fits or (kind is int and min(value) < 0):
        raise InputError(f"{key}: {value!r} is not allowed; a list of {word} is expected, such as "
                         f"{'[base, lora, qaa]' if kind is str else '[0, 1, 2]'}.")  # fmt: skip
    if len(set(value)) != len(value):
        raise InputError(f"{key}: {value!r} names an item twice; list each once.")
    return value


def _check_together(params: Params) -> None:
    data = params.data
    if data.test_fraction + data.validation_fraction >= 1:
        raise InputError("data.test_fraction and data.validation_fraction: together they must stay below 1.")
    if data.hub is not None and data.revision is None:
        raise InputError(f"data.revision: missing; pin the hub dataset {data.hub!r} by a commit of its repository.")
    if params.train.warmup_steps >= params.train.steps:
        raise InputError(
            f"train.warmup_steps: {params.train.warmup_steps} is out of range; "
            f"allowed is a number below train.steps, {params.train.steps}."
        )
