"""What a learning rate of its own for the bias gives QAA and its controls: `python tests/benchmarks/bias_rate.py qaa`.

Run in a study's workspace: for each method that is named, a trial of the study's own search (its data, steps and seeds)
at the rates that won there, but for the bias, which takes the rate that won for the bias alone. Prints the rows of
reports/benchmarks/bias_rate.csv, between its progress.
"""

import argparse
import tempfile
from pathlib import Path

from ketune import trials, tuning
from ketune.ground import files, layout, params
from ketune.records.training import Tuning


def losses(name: str, rates: dict[str, float], bias: float, settings: params.Params) -> list[float | None]:
    """The validation loss on each of the search's two seeds."""
    rates = rates | {"bias": bias}
    section = settings.section(name) | {"learning_rates": rates}
    with tempfile.TemporaryDirectory() as folder:
        bench = trials._bench(name, settings, section, tuning.of_a_trial(settings), Path(folder))
        return [bench.trial(rates, seed).loss for seed in settings.tune.seeds]


def main() -> None:
    """A row for each method and rate."""
    parser = argparse.ArgumentParser(description="validation losses with a rate of its own for the bias")
    parser.add_argument("methods", nargs="+")
    parser.add_argument("--tuned", type=Path, default=layout.tuned("qaa").parent, help="where the searches lie")
    given, settings = parser.parse_args(), params.load()
    won = {name: files.read_json(given.tuned / f"{name}.json", Tuning).rates for name in (*given.methods, "bias_only")}
    rate = won["bias_only"]["weights"]
    print("method,centre,bias_rate," + ",".join(f"seed_{seed}" for seed in settings.tune.seeds))
    for name in given.methods:
        found = losses(name, dict(won[name]), rate, settings)
        centre = settings.section(name)["centre"]
        print(f"{name},{centre},{rate},{','.join('' if loss is None else f'{loss:.4f}' for loss in found)}", flush=True)


if __name__ == "__main__":
    main()
