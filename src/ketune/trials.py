"""Trials of learning rates on the language model: each trains a fresh copy of it and is judged on validation records.

It knows the contract of a method and never a method's name. It reads no test record. A trial that ended is remembered
in a small file in .cache/checkpoints, keyed by all that decides it, processor and versions among them: a search that
was killed goes on with the next one, and one that is asked for more trials, or that another process has done meanwhile,
runs those alone that are new. Without that folder everything is tried again.
"""

import copy
import dataclasses
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from ketune import language_model, likelihood, methods, tokens, tuning
from ketune.ground import files, layout
from ketune.ground.checks import Range
from ketune.ground.errors import NotFinite
from ketune.ground.params import Params, Train
from ketune.methods import ConfiguredMethod
from ketune.records.examples import Example
from ketune.records.training import Trial, Tuning
from ketune.tokens import Tokens
from ketune.training import checkpoints, cost, loop


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What the trials of a method share.

    Attributes:
        method: with some rates; each trial brings its own.
        base: the frozen model, on the CPU; a trial works on a copy.
        settings: those of training, with the steps of a trial.
        padding: the token that fills up a batch.
        folder: where trials that ended are remembered.
    """

    method: ConfiguredMethod
    base: PreTrainedModel
    training: Sequence[Tokens]
    validation: Sequence[Tokens]
    settings: Train
    padding: int
    folder: Path

    def untrained(self) -> float:
        """The validation loss of the model as it is."""
        return self._loss(self._copy())

    def trial(self, rates: dict[str, float], seed: int) -> Trial:
        """Train at `rates` from `seed`, or read what came of it when that was done before."""
        name = "-".join([str(seed), *(f"{part}={rate:g}" for part, rate in sorted(rates.items()))])
        file = self.folder / f"{name}.json"
        if not file.exists():
            trial = self._train(rates, seed, self.folder / name)
            files.write_json(file, trial)
            shutil.rmtree(self.folder / name, ignore_errors=True)
            loss = "training diverged" if trial.loss is None else f"validation loss {trial.loss:.4f}"
            print(f"seed {seed}, {tuning.shown(rates)}: {loss}", flush=True)
        return files.read_json(file, Trial)

    def _train(self, rates: dict[str, float], seed: int, folder: Path) -> Trial:
        method = dataclasses.replace(
            self.method, learning_rates={part: rates[part] for part in self.method.learning_rates}
        )
        base = self._copy()
        language_model.fix_randomness(seed)
        model = method.adapter.attach(base)
        try:
            moved = loop.train(
                method, model, self.training, self.settings, seed=seed, padding=self.padding, folder=folder
            ).moved
        except loop.Diverged:
            return Trial(rates=rates, seed=seed, loss=None, moved=())
        loss = self._loss(model)
        finite = math.isfinite(loss)  # weights that are not have not moved by a number either
        return Trial(rates=rates, seed=seed, loss=loss if finite else None, moved=moved if finite else ())

    def _copy(self) -> PreTrainedModel:
        device = language_model.device(self.settings)
        return copy.deepcopy(self.base).to(device)  # type: ignore[arg-type]  # its wrapper hides self

    def _loss(self, model: nn.Module) -> float:
        """Mean negative log-likelihood of a validation token, in nats, at the precision of training; NaN for none."""
        device = next(model.parameters()).device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.settings.precision == "bf16"):
            try:
                found = likelihood.likelihoods(model.eval(), self.validation, self.padding)
            except NotFinite:  # a circuit refuses what any other part of a model turns into NaN
                return math.nan
        return likelihood.per_token(found)


def find(name: str, params: Params, given: Mapping[str, float], ranges: Mapping[str, Range]) -> Tuning:
    """Search the `ranges` of the method `name`; its other rates stay as they are given.

    Raises:
        InputError: training diverged in every trial.
    """
    section = params.section(name) | {"learning_rates": {**given, **{rate: span.low for rate, span in ranges.items()}}}
    settings, budget = tuning.of_a_trial(params), params.tune
    here = cost.machine(language_model.device(settings))  # another one rounds differently
    alike = (here.processor, here.accelerator, here.threads, here.packages)
    key = checkpoints.key(layout.dependencies("tune", name), name, section, settings, budget.validation_records, alike)
    bench = _bench(name, params, section, settings, checkpoints.root() / f"tune-{key}")
    with checkpoints.alone(bench.folder):
        untrained = bench.untrained()
        trials = tuning.search(bench.trial, ranges, given, untrained, budget)
        sizes = {"training_records": len(bench.training), "validation_records": len(bench.validation)}
    return tuning.result(name, trials, untrained, ranges, tuning.described(params, name) | sizes)


def _bench(name: str, params: Params, section: dict[str, Any], settings: Train, folder: Path) -> Bench:
    attention = language_model.attention_in_training(settings, language_model.device(settings))
    base, tokenizer = language_model.load(layout.LANGUAGE_MODEL, settings.precision, "cpu", attention=attention)
    training, validation = (
        tokens.tokenize(tokenizer, files.read_rows(layout.split(split), Example), settings.max_tokens)
        for split in ("train", "validation")
    )
    return Bench(
        method=methods.load(name, section), base=base, training=training,
        validation=validation[: params.tune.validation_records], settings=settings, padding=tokenizer.pad_token_id,
        folder=folder,
    )  # fmt: skip
