"""The learning rates of one method: those that params.yaml gives, and those that trials on validation records find.

reads:  data/prepared, data/model; neither where every rate is given
params: tune, train (but its device, processes and checkpoint_every), the method's own section; data and
        language_model, whose names the record holds
writes: data/tuned/<method>.json
"""

from ketune.ground import process  # isort: skip  (threads are set before torch is loaded)

from ketune import methods
from ketune.ground import files, layout, params
from ketune.records.training import Tuning


def tune(name: str) -> None:
    """Write the rates that training takes; torch is loaded only where some are to be found."""
    settings = params.load()
    rates, method = methods.rates(name, settings.section(name)), methods.declared(name)
    every = {rate for rate in rates if settings.tune.all and rate not in method.optional}
    wanted = {rate: method.rates[rate] for rate, value in rates.items() if value is None or rate in every}
    given = {rate: value for rate, value in rates.items() if rate not in wanted}
    result = Tuning(rates=given, search=None)
    if wanted:
        from ketune import trials

        result = trials.find(name, settings, given, wanted)
    files.write_json(layout.tuned(name), result)
    listed = ", ".join(f"{rate} {value:g}" for rate, value in result.rates.items())
    print(f"{name}: {listed or 'no learning rate'}{', found in trials' if wanted else ''}")


if __name__ == "__main__":
    process.run(tune, process.method)
