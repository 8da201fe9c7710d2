"""What the circuits of the listed methods cost on machines, into reports/hardware: `python -m ketune.bill`.

The machines are fake backends of qiskit. Needs the extra `hardware` and the prepared model.
"""

from ketune.ground import process  # isort: skip  (threads are set before torch is loaded)

import datetime
from dataclasses import asdict
from importlib.metadata import version

from ketune import circuits, language_model, methods
from ketune.ground import files, layout, params
from ketune.records.bills import Bills, circuit
from ketune.training import cost
from ketune.tuners.hardware import CircuitModule

MACHINES = ("FakeSherbrooke", "FakeTorino")
PACKAGES = ("qiskit", "qiskit-ibm-runtime")


def bill() -> None:
    """Write a record for each listed method whose circuits run on tokens, and say for which others there is none."""
    settings = params.load()
    for name in (one for one in settings.methods if methods.declared(one).family == "quantum"):
        adapter = methods.adapter(name, settings.section(name))
        base = language_model.load(layout.LANGUAGE_MODEL, "fp32", "cpu")[0]
        width, model = base.config.hidden_size, adapter.attach(base)
        found = [module for module in model.modules() if isinstance(module, CircuitModule)]
        if not found:
            print(f"{name}: no circuit runs on tokens; it makes weights, which are then used without one.")
            continue
        record = Bills(
            circuit=circuit(adapter.card(model)),
            trainable=cost.count(model).trainable,
            bills=dict(_bill(machine, found, width) for machine in MACHINES),
            packages={package: version(package) for package in PACKAGES},
            date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        )
        files.write_json(layout.bills(name), record)
        print(f"{name}: {layout.bills(name)}")


def _bill(machine: str, found: list[CircuitModule], width: int) -> tuple[str, dict[str, float]]:
    """The machine's name and its bill; the circuits of one model are alike, so the first speaks for all."""
    fields = asdict(circuits.bill(found[0].circuit, machine, width=width, circuits_a_token=len(found)))
    return fields.pop("machine"), fields


if __name__ == "__main__":
    process.run(bill)
