"""A planted study: the whole pipeline on records whose maker is known, and whether what it says is right.

`stages/planted.yaml` says which studies there are; `stages/planted.py` has the stages, which are called one after
another in a folder of the study's own. Each study has a process of its own.
"""

import contextlib
import datetime
import multiprocessing
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from ketune import adapters, language_model, likelihood, methods, planted, tokens
from ketune.ground import checks, files, layout, params, process
from ketune.ground.errors import InputError, nearest
from ketune.records.examples import Example
from ketune.report import calibration, publishing
from ketune.report.calibration import PlantedStudy
from ketune.report.results import Results
from ketune.training import cost

SETTINGS = Path("stages/planted.yaml")
PROJECT = Path("params.yaml")
FOLDER = Path(".cache/planted")
Pipeline = Callable[[], Results]
"""Every stage on every run of the working folder's params.yaml."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """One study of planted.yaml.

    Attributes:
        teacher: the method that makes the records; settings: of it, in place of those in params.yaml.
        spreads: see `ketune.planted.taught`.
        judged: method → whether it must be found to contribute what its controls lack.
    """

    teacher: str
    settings: dict[str, Any]
    spreads: dict[str, float]
    judged: dict[str, bool]

    @property
    def arms(self) -> list[str]:
        """All methods that run: those that are judged, and those that they must beat."""
        return list(dict.fromkeys(arm for method in self.judged for arm in (method, *calibration.controls(method))))


def run(names: Sequence[str], pipeline: Pipeline) -> None:
    """Run the named studies, all of them by default, side by side; end with status 1 where a verdict is wrong."""
    studies = params.read(SETTINGS)["studies"]
    for name in names:
        chosen(name, studies)
    names = names or tuple(studies)
    side_by_side(names, revision(), pipeline)  # the commit of the code as it was loaded, whenever a study's turn comes
    records = [files.read_json(layout.planted(name), PlantedStudy) for name in names]
    verdicts = [(record.name, verdict) for record in records for verdict in record.verdicts]
    for name, verdict in verdicts:
        print(f"{name}, {'right' if verdict.right else 'WRONG'}: {verdict.sentence}")
    if not all(verdict.right for _, verdict in verdicts):
        sys.exit(f"planted: a verdict is wrong; what led to it lies in {FOLDER}")


def side_by_side(names: Sequence[str], commit: str, pipeline: Pipeline) -> None:
    """Run each study in a process of its own, as many at a time as there are cores.

    Each is forked by this thread: a pool forks some by a thread of its own, with which they would end, a lock in hand.
    """
    fork = multiprocessing.get_context("fork")  # torch is loaded, and no thread of it runs yet
    waiting, running = list(names), list[BaseProcess]()
    while waiting or running:
        while waiting and len(running) < (os.cpu_count() or 1):
            running.append(fork.Process(target=in_its_process, args=(waiting.pop(0), commit, pipeline), daemon=True))
            running[-1].start()
        connection.wait([one.sentinel for one in running])
        for ended in [one for one in running if one.exitcode is not None]:
            running.remove(ended)
            if ended.exitcode:
                sys.exit(f"planted: a study failed, status {ended.exitcode}; what it said stands above")


def in_its_process(name: str, commit: str, pipeline: Pipeline) -> None:
    """One study, which ends with the process that started it; bad input is one sentence."""
    process.die_with_parent()
    try:
        run_one(name, commit, pipeline)
    except InputError as error:
        sys.exit(f"planted, {name}: {error}")


def run_one(name: str, commit: str, pipeline: Pipeline) -> None:
    """Make the records, run every stage on them, judge, and write down what was said by the code of that commit."""
    start = time.perf_counter()
    settings, project = params.read(SETTINGS), params.read(PROJECT)
    study = chosen(name, settings["studies"])
    outcome, folder = layout.planted(name).absolute(), FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    section = {key: value for key, value in project[study.teacher].items() if key != "learning_rates"}
    teacher = methods.adapter(
        study.teacher, methods.defaults(study.teacher) | section | study.settings
    )  # never trained
    planted.write(folder, checks.build(planted.Planted, settings["sizes"], "sizes"), teacher, study.spreads)
    for path in ("dvc.yaml", "src", "stages"):  # a run is keyed by the code that dvc.yaml names
        (folder / path).symlink_to(Path(path).absolute())
    with contextlib.chdir(folder):
        with PROJECT.open("w", encoding="utf-8") as file:
            YAML().dump(changed(project, settings["params"], study), file)
        record = recorded(name, study, pipeline(), start, commit)
    files.write_json(outcome, record)


def chosen(name: str, studies: Mapping[str, Any]) -> Study:
    """The study of that name.

    Raises:
        InputError: there is none, or its keys are not a study's.
    """
    if name not in studies:
        raise InputError(f"{name!r} is no study; {SETTINGS} has {', '.join(studies)}.{nearest(name, studies)}")
    return checks.build(Study, studies[name], f"studies.{name}")


def changed(project: dict[str, Any], changes: Mapping[str, Any], study: Study) -> dict[str, Any]:
    """The project's parameters with a planted study's in their place."""
    own = {
        "data": {"source": "records.jsonl", "hub": None, "revision": None, "retention": "passages.jsonl"},
        "language_model": {"name": "model", "revision": None},
        "methods": study.arms,
    }
    made = dict(project)
    for part in (changes, own):
        for key, value in part.items():
            made[key] = made[key] | value if isinstance(value, dict) else value
    return made


def revision() -> str:
    """The commit that made the code what it is, with a mark where it was changed since; empty where git tells none."""
    try:
        told = publishing.revision()
    except (InputError, FileNotFoundError):  # no repository; no git
        return ""
    return "" if told.startswith(" ") else told  # a mark alone: the code was never committed


def recorded(name: str, study: Study, results: Results, start: float, commit: str) -> PlantedStudy:
    """What was said of each judged method, and what it was said about."""
    settings, teacher = results.settings, Path("teacher")
    verdicts = [calibration.judge(results, method, must, recovery(method, settings.seeds, teacher))
                for method, must in study.judged.items()]  # fmt: skip
    return PlantedStudy(
        name=name,
        teacher=study.teacher,
        teacher_loss=loss(settings, teacher if teacher.is_dir() else None),
        base_loss=loss(settings),
        verdicts=tuple(verdicts),
        seeds=settings.seeds,
        steps=settings.train.steps,
        training_records=results.summary.sizes["train"],
        test_records=len(results.references),
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        wall_seconds=round(time.perf_counter() - start),
        packages=cost.machine("cpu").packages,
        revision=commit,
        search=calibration.searched(settings.tune),
    )


def recovery(method: str, seeds: tuple[int, ...], teacher: Path) -> tuple[float, ...] | None:
    """For each seed, how far a method's angles ended from the teacher's; None where they are not of one kind."""
    found = [planted.recovery(layout.Run(method, seed).adapter, teacher) for seed in seeds]
    told = [error for error in found if error is not None]
    return tuple(told) if len(told) == len(found) else None


def loss(settings: params.Params, adapter: Path | None = None) -> float:
    """Held-out loss of the model, with an adapter or alone: nats per token."""
    base, tokenizer = language_model.load(layout.LANGUAGE_MODEL, settings.generate.precision, "cpu")
    model = base if adapter is None else adapters.load(adapter, base)
    test = files.read_rows(layout.split("test"), Example)[: settings.generate.likelihood_records]
    rows = tokens.tokenize(tokenizer, test, settings.train.max_tokens)
    return likelihood.per_token(likelihood.likelihoods(model, rows, tokenizer.pad_token_id))
