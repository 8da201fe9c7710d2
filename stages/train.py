"""One run: a method and a seed, from the frozen model to an adapter.

reads:  data/prepared, data/model, data/tuned/<method>.json
params: train (but its checkpoint_every), the method's own section
writes: data/adapters/<run>, data/curves/<run>.csv, data/costs/<run>.json
"""

from ketune.ground import process  # isort: skip  (threads are set before torch is loaded)

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from statistics import fmean

from ketune import adapters, language_model, methods, tokens
from ketune.ground import files, layout, params
from ketune.records.examples import Example
from ketune.records.training import CurvePoint, TrainingRecord, Tuning
from ketune.training import checkpoints, cost, distribution, loop


def train(name: str, seed: int) -> None:
    """Attach the method to the frozen model, train it, and write what came of it."""
    settings = params.load()
    rates = files.read_json(layout.tuned(name), Tuning).rates
    section = settings.section(name) | ({"learning_rates": rates} if rates else {})
    method = methods.load(name, section)
    distribution.spread(settings.train)
    run = layout.Run(name, seed)
    device = language_model.device(settings.train)
    print(f"{run.key}: on {device}", flush=True)
    attention = language_model.attention_in_training(settings.train, device)
    model, tokenizer = language_model.load(layout.LANGUAGE_MODEL, settings.train.precision, device, attention=attention)
    used = model.config._attn_implementation  # where an architecture has no fused form, not what was asked for
    rows = tokens.tokenize(tokenizer, files.read_rows(layout.split("train"), Example), settings.train.max_tokens)
    language_model.fix_randomness(seed)
    model = method.adapter.attach(model)
    machine, training = cost.machine(device), dataclasses.asdict(settings.train)
    del training["checkpoint_every"]  # how often checkpoints are saved decides no result
    # Versions of packages are in the key: with others a killed run begins anew. The processor is not: a run may go on
    # on another one, whose sums round differently.
    decisive = (name, seed, training, section, machine.packages)
    folder = checkpoints.root() / checkpoints.key(layout.dependencies("train", name), *decisive)
    with checkpoints.alone(folder):
        padding = tokenizer.pad_token_id
        result = loop.train(method, model, rows, settings.train, seed=seed, padding=padding, folder=folder)
        if not distribution.is_main():
            return
        adapters.save(model, run.adapter, name, section, _about(settings.train, rates, len(rows), seed, result.curve))
        files.write_csv(run.curve, CurvePoint, result.curve)
        about = TrainingRecord(
            parameters=result.parameters,
            cost=result.cost,
            machine=machine,
            device=device,
            attention=used,
            adapter_bytes=cost.folder_bytes(run.adapter),
            card=method.adapter.card(model),
            moved=result.moved,
            resumed_from=result.resumed_from,
        )
        files.write_json(run.cost, about)
        # last: until all is written, a killed run goes on from its checkpoints
        shutil.rmtree(folder, ignore_errors=True)
    loss = f"last loss {result.curve[-1].loss:.3f}" if result.curve else "nothing to train"
    print(f"{run.key}: {result.parameters.trainable:,} parameters, {loss}, {result.cost.wall_seconds:.0f} s")


def _about(
    settings: params.Train, rates: Mapping[str, float], records: int, seed: int, curve: Sequence[CurvePoint]
) -> dict[str, object]:
    """What the page beside the adapter says of its training."""
    last = [point.loss for point in curve[-10:]]
    return {
        "training": f"{settings.steps} steps of {settings.batch_size * settings.accumulation} out of {records} records",
        "learning rates": ", ".join(f"{rate:g} ({part})" for part, rate in rates.items()),
        "seed": seed,
        "training loss": f"{fmean(last):.3f} nats a token, mean of the last {len(last)} steps" if last else "",
    }


if __name__ == "__main__":
    process.run(train, process.method_and_seed)
