"""What rates are searched for: the study's own setting, over the horizon of a trial."""

import dataclasses

from ketune.ground.params import Params, Train
from ketune.records.training import Fact

# Of a method's section: the rates themselves, and by what its circuit is computed, which is exact whatever it is.
NO_MATTER = ("learning_rates", "device", "gradient")  # the last two are what adapters mark `runtime`


def of_a_trial(params: Params) -> Train:
    """Training over a trial's horizon, by one process, without checkpoints on the way."""
    steps = max(1, round(params.tune.horizon * params.train.steps))
    warmup = min(steps - 1, round(params.tune.horizon * params.train.warmup_steps))
    return dataclasses.replace(params.train, steps=steps, warmup_steps=warmup, processes=1, checkpoint_every=steps)


def described(params: Params, method: str) -> dict[str, Fact]:
    """Data, model, training and the method's own settings: rates that were found for others need not suit."""
    trial = of_a_trial(params)
    own = {f"{method}.{key}": value for key, value in params.section(method).items() if key not in NO_MATTER}
    return {
        "data": params.data.hub or params.data.source,
        "data_revision": params.data.revision,
        "language_model": params.language_model.name,
        "language_model_revision": params.language_model.revision,
        "steps": trial.steps,
        "batch_size": trial.batch_size * trial.accumulation,
        "max_tokens": trial.max_tokens,
        "precision": trial.precision,
        "schedule": trial.schedule,
        "warmup_steps": trial.warmup_steps,
        "weight_decay": trial.weight_decay,
        "gradient_clip": trial.gradient_clip,
    } | own
