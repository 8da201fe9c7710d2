"""Write what one token costs on real machines: `python -m tests.benchmarks.hardware [--folder reports/benchmarks]`.

Needs the extra `hardware`. QAA reads a hidden vector of width 576 as the amplitudes of 10 qubits after each of 30
blocks; QTHA reads 4 angles in each of 60 maps. The result is hardware.md and hardware.csv in the folder.
"""

import argparse
import csv
import time
from dataclasses import asdict, fields
from pathlib import Path

from ketune.circuits import Bill, Circuit, Reuploading, bill

from . import measure

MACHINES = ("FakeSherbrooke", "FakeTorino")
CIRCUITS = {
    "QAA, L = 1, d = 576": (Circuit.for_width(576), {"width": 576, "circuits_a_token": 30}),
    "QAA, L = 4, d = 576": (Circuit.for_width(576, layers=4), {"width": 576, "circuits_a_token": 30}),
    "QTHA, r = 4, L = 1": (Reuploading(4, 1), {"circuits_a_token": 60}),
}
FORMS = {"success": ".1e", "shot_seconds": ".1e", "noisy_shots": ",.2g", "token_seconds": ",.2g", "error": "g"}


def markdown(bills: dict[str, Bill]) -> str:
    """A row for each field, a column for each circuit and machine."""
    columns = [f" {name}, {found.machine} |" for name, found in bills.items() for name in [name.partition(" @")[0]]]
    lines = ["| |" + "".join(columns), "|---|" + "---|" * len(bills)]
    for field in fields(Bill):
        values = [getattr(found, field.name) for found in bills.values()]
        if field.name != "machine":
            form = FORMS.get(field.name, ",")
            lines.append(f"| {field.name} |" + "".join(f" {value:{form}} |" for value in values))
    packages = measure.versions("qiskit", "qiskit-ibm-runtime", "pennylane")
    note = (
        f"Transpiled by qiskit at level 3 for the machines' stored calibrations; {packages}; "
        f"{time.strftime('%Y-%m-%d')}. Written by `python -m tests.benchmarks.hardware`; the fields are those of "
        "`ketune.circuits.Bill`. Seconds are durations of gates and read-out alone, without reset, transfer and queue."
    )
    return "\n\n".join(["# What one token costs on IBM's machines", note, "\n".join(lines)]) + "\n"


def main() -> None:
    """Transpile and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("reports/benchmarks"))
    folder = parser.parse_args().folder
    bills = {
        f"{name} @{machine}": bill(circuit, machine, **options)
        for name, (circuit, options) in CIRCUITS.items()
        for machine in MACHINES
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hardware.md").write_text(markdown(bills))
    with (folder / "hardware.csv").open("w", newline="") as target:
        writer = csv.DictWriter(target, ["circuit", *(field.name for field in fields(Bill))])
        writer.writeheader()
        writer.writerows({"circuit": name.partition(" @")[0]} | asdict(found) for name, found in bills.items())


if __name__ == "__main__":
    main()
