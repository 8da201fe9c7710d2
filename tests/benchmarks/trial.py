"""A trial of a study's own search at rates of one's choice: `python -m tests.benchmarks.trial qaa_frozen bias=0.01 …`.

Run in the workspace of a study that lists the method: its data, steps and seeds of the search. `--clip` takes another
limit on gradients' norms than the study's. Prints a row of reports/benchmarks/trials.csv for each seed, between its
progress: validation loss, and the median over steps of the gradients' norm before it is clipped.
"""

import argparse
import dataclasses
import statistics
import tempfile
from pathlib import Path

from ketune import language_model, trials, tuning
from ketune.ground import params
from ketune.training import loop


def trial(bench: trials.Bench, seed: int) -> tuple[float, float]:
    """Validation loss and median norm of the gradients."""
    base = bench._copy()
    language_model.fix_randomness(seed)
    model = bench.method.adapter.attach(base)
    trained = loop.train(
        bench.method, model, bench.training, bench.settings,
        seed=seed, padding=bench.padding, folder=bench.folder / str(seed),
    )  # fmt: skip
    return bench._loss(model), statistics.median(point.gradient_norm for point in trained.curve)


def main() -> None:
    """A row for each seed."""
    parser = argparse.ArgumentParser(description="validation losses at rates of one's choice")
    parser.add_argument("method")
    parser.add_argument("rates", nargs="+", metavar="PART=RATE")
    parser.add_argument("--clip", type=float)
    given, settings = parser.parse_args(), params.load()
    rates = {part: float(rate) for part, rate in (item.split("=") for item in given.rates)}
    section = settings.section(given.method) | {"learning_rates": rates}
    budget = tuning.of_a_trial(settings)
    budget = dataclasses.replace(budget, gradient_clip=given.clip or budget.gradient_clip)
    clipped = "apart" if "bias" in rates else "together"
    with tempfile.TemporaryDirectory() as folder:
        bench = trials._bench(given.method, settings, section, budget, Path(folder))
        print("method,centre,steps,rates,clip,bias_clipped,seed,loss,gradient_norm")
        for seed in settings.tune.seeds:
            loss, norm = trial(bench, seed)
            cells = (given.method, section.get("centre", ""), str(budget.steps), " ".join(given.rates))
            tail = (f"{budget.gradient_clip:g}", clipped, str(seed), f"{loss:.4f}", f"{norm:.2f}")
            print(",".join((*cells, *tail)), flush=True)


if __name__ == "__main__":
    main()
