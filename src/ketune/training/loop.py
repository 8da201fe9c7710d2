"""The one training loop: transformers' Trainer over response tokens, the same for every method.

It knows the contract of a method and never a method's name. For a given seed every run sees the same records in the
same order. A run that is killed goes on from its last whole checkpoint and ends with the same bytes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from tqdm import tqdm
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from ketune import language_model
from ketune.ground.errors import InputError, NotFinite
from ketune.ground.params import Train
from ketune.methods import ConfiguredMethod
from ketune.records.training import CurvePoint, Movement, ParameterCounts, TrainingCost
from ketune.tokens import Tokens
from ketune.training import checkpoints, cost, distribution
from ketune.training.order import ByLength, collate
from ketune.training.travel import Start

PREPARED_ON = 32  # records that a method may look at before training
SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}


class Diverged(InputError):
    """The loss or the gradient of a step is not finite."""


@dataclass(frozen=True)
class Trained:
    """What a training run leaves behind, beside the changed model.

    Attributes:
        curve: one point a step.
        moved: the distance that each part of the method travelled.
        resumed_from: the step that a checkpoint took over from, 0 for an undisturbed run.
    """

    curve: list[CurvePoint]
    parameters: ParameterCounts
    cost: TrainingCost
    moved: tuple[Movement, ...]
    resumed_from: int


def train(
    method: ConfiguredMethod,
    model: nn.Module,
    rows: Sequence[Tokens],
    settings: Train,
    *,
    seed: int,
    padding: int,
    folder: Path,
) -> Trained:
    """Train what `method` attached to `model`, in place; checkpoints go to `folder`.

    They stay there, so that the run goes on until its results are saved: the caller then removes them.

    Raises:
        InputError: the model has too few positions for the method's prefix and a text.
        Diverged: a loss or a gradient that is not finite (the step and the records are named).
    """
    device = language_model.device(settings)
    trainable = [p for p in model.parameters() if p.requires_grad]
    if not trainable:
        return Trained([], cost.count(model), cost.nothing_trained(device), (), 0)
    language_model.require_positions(model, settings.max_tokens, "train.max_tokens")
    method.adapter.prepare(model, language_model.batches(rows[:PREPARED_ON], settings.batch_size, padding, device))
    groups = method.parameter_groups(model)
    trainer = _ResponseTrainer(
        model=model,
        args=_arguments(settings, seed, folder, device),
        train_dataset=cast(Any, rows),
        data_collator=partial(collate, padding=padding),
        optimizers=(torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True), None),
        callbacks=[*method.adapter.callbacks(), _Progress(), checkpoints.Sealer()],
    )
    trainer.remove_callback(PrinterCallback)
    start, before = checkpoints.last_whole(folder), Start(groups, angles_in_radians=method.adapter.angles_in_radians)
    with cost.Meter(device) as meter:
        trainer.add_callback(_ReadsEnergy(meter))
        trainer.train(resume_from_checkpoint=str(start) if start else None)
    return Trained(
        curve=_curve(trainer.state.log_history),
        parameters=cost.count(model, trainer.optimizer),
        cost=meter.reading(int(trainer.accelerator.reduce(torch.tensor(trainer.tokens, device=device)))),
        moved=before.movements(),
        resumed_from=int(start.name.rpartition("-")[2]) if start else 0,
    )


def _arguments(settings: Train, seed: int, folder: Path, device: str) -> TrainingArguments:
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=settings.steps,
        per_device_train_batch_size=settings.batch_size // distribution.processes(),
        gradient_accumulation_steps=settings.accumulation,
        lr_scheduler_type=SCHEDULES[settings.schedule],
        warmup_steps=settings.warmup_steps,
        max_grad_norm=settings.gradient_clip,
        bf16=settings.precision == "bf16",
        use_cpu=device == "cpu",
        ddp_backend="gloo" if device == "cpu" and distribution.processes() > 1 else None,
        seed=seed,
        data_seed=seed,
        remove_unused_columns=False,
        logging_steps=1,
        logging_nan_inf_filter=False,  # the default would log a diverged run as loss 0
        save_steps=settings.checkpoint_every,
        save_total_limit=2,
        disable_tqdm=True,
        report_to="none",
        dataloader_pin_memory=device != "cpu",
        ddp_find_unused_parameters=False,
    )
    arguments._n_gpu = min(1, arguments.n_gpu)  # several GPUs mean several processes, never torch's DataParallel
    return arguments


def _curve(history: list[dict[str, Any]]) -> list[CurvePoint]:
    return [
        CurvePoint(
            step=entry["step"],
            loss=entry["loss"],
            gradient_norm=entry["grad_norm"],
            learning_rate=entry["learning_rate"],
        )
        for entry in history
        if "loss" in entry
    ]


class _ResponseTrainer(Trainer):
    """The Trainer with a loss over response tokens only, which refuses a loss or a gradient that is not finite."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.model_accepts_loss_kwargs = True  # the loss below is scaled by the tokens of the whole step
        self.tokens = 0
        self.records: list[str] = []  # ids of those that this process has seen in the step

    def _get_train_sampler(self, train_dataset: Any = None) -> ByLength:
        lengths = [len(row.ids) for row in cast(Sequence[Tokens], self.train_dataset)]
        world = self.args.world_size * self.args.gradient_accumulation_steps
        return ByLength(lengths, self.args.train_batch_size * world, self.args.seed)

    def _run_epoch(self, *given: Any, **named: Any) -> None:
        """One pass over the records; none after the last step, where the Trainer would take one step more."""
        if self.state.global_step < self.state.max_steps:
            super()._run_epoch(*given, **named)

    def _clip_grad_norm(self, model: nn.Module) -> Tensor:
        """Clip all gradients by their joint norm, but those of a group that stands apart by its own."""
        groups = [group["params"] for group in cast(Any, self.optimizer).param_groups if group["apart"]]
        if not groups:
            return super()._clip_grad_norm(model)
        apart = {id(parameter) for group in groups for parameter in group}
        rest = [parameter for parameter in model.parameters() if id(parameter) not in apart]
        norms = [self.accelerator.clip_grad_norm_(part, self.args.max_grad_norm) for part in (rest, *groups)]
        return torch.linalg.vector_norm(torch.stack([cast(Tensor, norm) for norm in norms]))

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Tensor:
        """Sum of token losses over the number of response tokens in the whole step."""
        step, records = self.state.global_step + 1, inputs["ids"]
        self.records += records
        try:
            losses = language_model.token_losses(model, inputs)
        except NotFinite as error:  # a circuit refuses what any other part of a model turns into NaN
            raise _diverged("loss", step, math.nan, records) from error
        self.tokens += int(inputs["attention_mask"].sum())
        loss = losses.sum() / (num_items_in_batch if num_items_in_batch is not None else losses.numel())
        if not math.isfinite(loss.item()):
            raise _diverged("loss", step, loss.item(), records)
        return loss * self.accelerator.num_processes  # DDP averages gradients; the loss is over all processes' tokens

    def log(self, logs: dict[str, float], *rest: Any) -> None:
        """Called after each step and before its checkpoint, with the norm of all gradients as a number."""
        if not math.isfinite(norm := logs.get("grad_norm", 0.0)):
            raise _diverged("norm of the gradients", self.state.global_step, norm, self.records)
        self.records = []
        super().log(logs, *rest)


def _diverged(what: str, step: int, value: float, records: Sequence[str]) -> Diverged:
    return Diverged(
        f"training diverged: the {what} of step {step} is {value}, on records {', '.join(records)}; lower the method's "
        "learning_rates or train.gradient_clip."
    )


class _ReadsEnergy(TrainerCallback):
    """Reads the counters of energy before they run over."""

    def __init__(self, meter: cost.Meter) -> None:
        self.meter = meter

    def on_step_end(self, args: Any, state: Any, control: Any, **context: Any) -> None:
        """A step takes seconds, a counter minutes."""
        self.meter.energy.joules()


class _Progress(TrainerCallback):
    """One bar with the loss."""

    bar: tqdm | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Open the bar where a resumed run goes on."""
        if state.is_world_process_zero:
            self.bar = tqdm(total=state.max_steps, initial=state.global_step, unit="step", mininterval=2.0)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Show the step's loss."""
        if self.bar is not None and logs and "loss" in logs:
            self.bar.set_postfix(loss=f"{logs['loss']:.3f}", refresh=False)
            self.bar.update(state.global_step - self.bar.n)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Close the bar."""
        if self.bar is not None:
            self.bar.close()
