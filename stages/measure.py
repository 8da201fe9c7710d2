"""How likely a run finds references where its circuits are read as a quantum computer would: with shots and noise.

reads:  data/prepared, data/model, data/adapters/<run>
params: hardware, generate.likelihood_records, generate.precision, train.max_tokens, the method's own section
writes: reports/hardware/measured/<run>.json
"""

from ketune.ground import process  # isort: skip  (threads are set before torch is loaded)

from collections.abc import Iterator
from typing import Any

from ketune import adapters, language_model, likelihood, methods, tokens
from ketune.circuits import Noise, noisy
from ketune.ground import files, layout, params
from ketune.ground.params import Hardware
from ketune.records.examples import Example
from ketune.records.measured import Measured, Reading
from ketune.records.predictions import Likelihood
from ketune.tuners.hardware import as_hardware


def measure(name: str, seed: int) -> None:
    """Measure the likelihood of test references in every way that the params ask for."""
    settings = params.load()
    adapter = methods.adapter(name, settings.section(name))
    run, device = layout.Run(name, seed), language_model.device(settings.generate)
    model, tokenizer = language_model.load(layout.LANGUAGE_MODEL, settings.generate.precision, device)
    model = adapters.restore(run.adapter, model).to(device)
    adapter.set_runtime(model)
    test = files.read_rows(layout.split("test"), Example)[: settings.generate.likelihood_records]
    texts = tokens.tokenize(tokenizer, test, settings.train.max_tokens)[: settings.hardware.records]

    def losses() -> list[Likelihood]:
        return likelihood.likelihoods(model, texts, tokenizer.pad_token_id)

    exact = losses()
    readings = [_reading(None, "", exact)]
    for noise, shots, how in _ways(settings.hardware):
        with as_hardware(model, shots=shots, seed=seed, **how):
            readings.append(_reading(shots, noise, losses()))
        print(f"{run.key}: {readings[-1].title}", flush=True)
    record = Measured(
        ids=tuple(row.id for row in exact), tokens=tuple(row.tokens for row in exact), readings=tuple(readings)
    )
    files.write_json(run.measured, record)
    print(f"{run.key}: {len(texts)} references, circuits read in {len(readings)} ways")


def _ways(settings: Hardware) -> Iterator[tuple[str, int | None, dict[str, Any]]]:
    """Every way but the exact one: (what disturbs, shots, what else `as_hardware` is told)."""
    for shots in settings.shots:
        yield "", shots, {}
    if settings.depolarizing or settings.readout:
        words = f"depolarizing {settings.depolarizing:g}, read-out {settings.readout:g}"
        noise = Noise(depolarizing=settings.depolarizing, readout=settings.readout)
        for shots in (None, *settings.shots):
            yield words, shots, {"noise": noise}
    if settings.machine is not None:  # slow to simulate, so once, with the most shots
        yield settings.machine, max(settings.shots, default=None), {"device": noisy(settings.machine)}


def _reading(shots: int | None, noise: str, found: list[Likelihood]) -> Reading:
    return Reading(shots=shots, noise=noise, losses=tuple(row.negative_log_likelihood for row in found))


if __name__ == "__main__":
    process.run(measure, process.method_and_seed)
