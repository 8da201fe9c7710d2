"""The plan of a study, written before it runs and kept in git with its date: `make plan`.

From the runs of a pilot (two seeds and a few references do) it tells what a study of `plan.seeds` and `plan.references`
will find of each declared comparison, and of each control, at the level at which its word will be given. The report
sets it beside what came.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ketune import methods, metrics
from ketune.ground import files, layout
from ketune.ground.contrasts import Contrast
from ketune.ground.errors import InputError
from ketune.ground.params import Params
from ketune.report import panels
from ketune.report.results import Results
from ketune.statistics.decisions import Role
from ketune.statistics.planning import Design, Sources, outlook, sources

ALTERNATIVES = tuple((seeds, references) for seeds in (3, 5, 8, 12) for references in (40, 100, 400))


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a plan holds for: variances of one setting say nothing of another."""

    data: str
    language_model: str
    steps: int


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What the planned study will find of one comparison.

    Attributes:
        role: planned, or control of an attribution.
        level: the error at which its word is given: of a planned one the strictest that Holm's procedure may ask for,
            of a control that at which a method is ahead of it.
        detectable: the true difference that is found four times in five, in nats per token.
        power: how often each of the plan's differences is found; empty for another metric than the loss.
        confirmed: how often the sign-flip test over seeds finds them, with these references as they are.
    """

    contrast: str
    role: Role
    level: float
    detectable: float
    power: tuple[float, ...]
    confirmed: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A plan.

    Attributes:
        pilot_seeds, pilot_references: how large the pilot was that it is made from.
        without_pilot: declared comparisons of methods that the pilot lacks; they count in the correction.
        differences: true differences in nats per token; the first is the one that the study must find.
        margin: within which methods will count as comparable, if the pilot is typical.
        alternatives: (seeds, references, the largest detectable difference in loss of any of the comparisons); empty
            where none is on loss.
        training_hours: of all runs of the pilot's methods one after another, on its machine.
    """

    date: str
    setting: Setting
    pilot_seeds: int
    pilot_references: int
    methods: tuple[str, ...]
    seeds: int
    references: int
    differences: tuple[float, ...]
    margin: float | None
    promises: tuple[Promise, ...]
    alternatives: tuple[tuple[int, int, float], ...]
    training_hours: float
    without_pilot: tuple[str, ...] = ()


def read(path: Path = layout.PLAN) -> Plan | None:
    """The plan that lies in git; None where none was made."""
    return files.read_json(path, Plan) if path.exists() else None


def setting(settings: Params) -> Setting:
    """The setting of a study."""
    data = settings.data.hub or settings.data.source
    return Setting(data=data, language_model=settings.language_model.name, steps=settings.train.steps)


def planned(settings: Params) -> list[Contrast]:
    """The declared comparisons of methods that are listed.

    Raises:
        InputError: one names a metric that there is not, or a control before the method whose control it is.
    """
    metrics.check(settings.contrasts)
    asked = set(required(settings))
    if turned := [one for one in settings.contrasts if one.reversed in asked]:
        raise InputError(
            f"plan.contrasts: {str(turned[0])!r} names the control first; write {str(turned[0].reversed)!r}."
        )
    return [one for one in settings.contrasts if {one.method, one.other} <= set(settings.methods)]


def strictest(settings: Params) -> float:
    """The level that Holm's procedure asks of the first of the declared comparisons, those that are listed or not."""
    return settings.report.alpha / max(1, len(settings.contrasts))


def required(settings: Params) -> list[Contrast]:
    """Each quantum method that is listed against all of its controls."""
    quantum = [name for name in settings.methods if methods.declared(name).family == "quantum"]
    return [Contrast("loss", method, control) for method in quantum for control in methods.controls(method)]


def controls(settings: Params) -> list[Contrast]:
    """Each quantum method against those of its controls that are listed."""
    return [one for one in required(settings) if one.other in settings.methods]


def make(pilot: Results, date: str) -> Plan:
    """The plan that params.yaml declares, from the variances of a pilot.

    Raises:
        InputError: the pilot has one seed or reference, or lacks every method that is to be compared.
    """
    settings, wanted = pilot.settings, pilot.settings.plan
    if len(settings.seeds) < 2:
        raise InputError("seeds: a pilot needs two or more, to see how runs differ; run one with -S 'seeds=[0,1]'.")
    if len(pilot.references) < 2:
        raise InputError("generate.likelihood_records: a pilot needs two or more, to see how references differ.")
    family, others = planned(settings), controls(settings)
    if not family + others:
        raise InputError("methods: none of plan.contrasts can be compared; list both methods of one and run the pilot.")
    found = {metric: panels.panel(pilot, metric) for metric in {"loss", *(one.metric for one in family)}}
    shown = {one: sources(found[one.metric], one.method, one.other) for one in [*others, *family]}
    on_loss = any(one.metric == "loss" for one in shown)
    levels = dict.fromkeys(others, settings.report.alpha) | dict.fromkeys(family, strictest(settings))
    roles: dict[Contrast, Role] = {one: "planned" if one in family else "control" for one in levels}
    return Plan(
        date=date,
        setting=setting(settings),
        pilot_seeds=len(settings.seeds),
        pilot_references=len(pilot.references),
        methods=settings.methods,
        seeds=wanted.seeds,
        references=wanted.references,
        differences=wanted.differences,
        margin=found["loss"].margin,
        promises=tuple(
            _promise(one, roles[one], shown[one], Design(wanted.seeds, wanted.references, level), wanted.differences)
            for one, level in levels.items()
        ),
        alternatives=tuple((*other, _widest(shown, levels, *other)) for other in ALTERNATIVES if on_loss),
        without_pilot=tuple(str(one) for one in settings.contrasts if one not in family),
        training_hours=float(pilot.means["wall_seconds"].sum() * wanted.seeds / 3600),
    )


def _promise(one: Contrast, role: Role, shown: Sources, design: Design, differences: tuple[float, ...]) -> Promise:
    promised = outlook(shown, design)
    asked = differences if one.metric == "loss" else ()
    return Promise(
        contrast=str(one),
        role=role,
        level=design.level,
        detectable=promised.detectable,
        power=tuple(promised.power(difference) for difference in asked),
        confirmed=tuple(promised.confirmed(difference) for difference in asked),
    )


def _widest(shown: Mapping[Contrast, Sources], levels: Mapping[Contrast, float], seeds: int, references: int) -> float:
    """The largest detectable difference in loss of any comparison, at another size of study."""
    return max(
        outlook(found, Design(seeds, references, levels[one])).detectable
        for one, found in shown.items()
        if one.metric == "loss"
    )
