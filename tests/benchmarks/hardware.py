"""Write what one token costs on real machines: `python -m tests.benchmarks.hardware [--folder reports/benchmarks]`.

Needs the extra `hardware`. QAA reads a hidden vector of width 576 as the amplitudes of 10 qubits after each of 30
blocks; QTHA reads 4 angles in each of 60 maps. Then each circuit runs with a machine's simulated noise on random rows
(QAA's take long). The result is hardware.md and hardware.csv in the folder.
"""

import argparse
import csv
import math
import time
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from scipy.stats import linregress

from ketune import circuits
from ketune.circuits import Bill, Circuit, Reuploading, bill

from . import measure

MACHINES = ("FakeSherbrooke", "FakeTorino")
CIRCUITS = {
    "QAA, L = 1, d = 576": (Circuit.for_width(576), {"width": 576, "circuits_a_token": 30}),
    "QAA, L = 4, d = 576": (Circuit.for_width(576, layers=4), {"width": 576, "circuits_a_token": 30}),
    "QTHA, r = 4, L = 1": (Reuploading(4, 1), {"circuits_a_token": 60}),
}
FORMS = {"success": ".1e", "shot_seconds": ".1e", "noisy_shots": ",.2g", "token_seconds": ",.2g", "error": "g"}


NOISY = "FakeTorino"
SHOTS = 1000


def kept(name: str, rows: int) -> tuple[Any, Any]:
    """z of random rows over exact z, a line through both: (through the machine's noise, from as many shots without)."""
    circuit, options = CIRCUITS[name]
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(rows, options.get("width", circuit.qubits), generator=generator)
    angles = 2 * math.pi * torch.rand(circuit.angle_shape, generator=generator)
    exact = circuits.measure(inputs, angles, circuit).flatten()
    noisy, alone = (
        linregress(exact, circuits.measure(inputs, angles, circuit, device, shots=SHOTS, seed=0).flatten())
        for device in (circuits.noisy(NOISY), "torch")
    )
    return noisy, alone


def seconds() -> float:
    """What it takes to simulate one of QAA's circuits, of which a token has 30, through the machine's noise."""
    name = "QAA, L = 1, d = 576"
    circuit, options = CIRCUITS[name]
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(1, options["width"], generator=generator)
    device, start = circuits.noisy(NOISY), time.perf_counter()
    circuits.measure(inputs, torch.zeros(circuit.angle_shape), circuit, device, shots=SHOTS, seed=0)
    return time.perf_counter() - start


def kept_table(rows: dict[str, int]) -> str:
    """A row for each circuit that is run."""
    lines = [
        f"z of random rows with random angles, {SHOTS:,} shots, through the simulated noise of {NOISY}:",
        "",
        "| circuit | rows | slope over exact z | correlation | slope without noise | correlation |",
        "|---|---|---|---|---|---|",
    ]
    for name, count in rows.items():
        words = " | ".join(f"{z.slope:.2f} ± {z.stderr:.2f} | {z.rvalue:.2f}" for z in kept(name, count))
        lines.append(f"| {name} | {count} | {words} |")
    return "\n".join(lines)


def markdown(bills: dict[str, Bill], noise: str) -> str:
    """A row for each field, a column for each circuit and machine."""
    columns = [f" {name}, {found.machine} |" for name, found in bills.items() for name in [name.partition(" @")[0]]]
    lines = ["| |" + "".join(columns), "|---|" + "---|" * len(bills)]
    for field in fields(Bill):
        values = [getattr(found, field.name) for found in bills.values()]
        if field.name != "machine":
            form = FORMS.get(field.name, ",")
            lines.append(f"| {field.name} |" + "".join(f" {value:{form}} |" for value in values))
    packages = measure.versions("qiskit", "qiskit-ibm-runtime")
    note = (
        f"Transpiled by qiskit at level 3 for the machines' stored calibrations; {packages}; "
        f"{time.strftime('%Y-%m-%d')}. Written by `python -m tests.benchmarks.hardware`; the fields are those of "
        "`ketune.circuits.Bill`. Seconds are durations of gates and read-out alone, without reset, transfer and queue."
    )
    return "\n\n".join(["# What one token costs on IBM's machines", note, "\n".join(lines), noise]) + "\n"


def main() -> None:
    """Transpile and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("reports/benchmarks"))
    parser.add_argument("--rows", type=int, default=12, help="rows of QAA that run with noise, which take long")
    parser.add_argument("--seconds", action="store_true", help="print what one QAA circuit takes, and write nothing")
    given = parser.parse_args()
    if given.seconds:
        print(f"one QAA circuit, d = 576, {SHOTS:,} shots through {NOISY}'s noise: {seconds():.0f} s")
        return
    folder, noise = given.folder, kept_table({"QTHA, r = 4, L = 1": 100, "QAA, L = 1, d = 576": given.rows})
    bills = {
        f"{name} @{machine}": bill(circuit, machine, **options)
        for name, (circuit, options) in CIRCUITS.items()
        for machine in MACHINES
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hardware.md").write_text(markdown(bills, noise))
    with (folder / "hardware.csv").open("w", newline="") as target:
        writer = csv.DictWriter(target, ["circuit", *(field.name for field in fields(Bill))])
        writer.writeheader()
        writer.writerows({"circuit": name.partition(" @")[0]} | asdict(found) for name, found in bills.items())


if __name__ == "__main__":
    main()
