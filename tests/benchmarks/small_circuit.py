"""Write what shots and a machine's noise leave of a small QAA: `python -m tests.benchmarks.small_circuit`.

The adapter learnt from a teacher of its own form, a circuit of five qubits, so its circuit is known to contribute: the
planted study `circuit`, which `python stages/planted.py circuit` runs first. Held-out references of that study are
scored with the circuit read exactly, with shots, and with the simulated noise of a machine, beside the study's other
arms on the same references. Needs the extra `hardware`. The result is small_circuit.md in the folder.
"""

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoConfig

from ketune import adapters, circuits, language_model, likelihood, tokens
from ketune.circuits import Circuit
from ketune.ground import files, layout, params
from ketune.ground.layout import Run
from ketune.records.examples import Example
from ketune.tuners.hardware import as_hardware

from . import measure

STUDY = Path(".cache/planted/circuit")
MACHINES = ("FakeTorino", "FakeSherbrooke")
SHOTS = (10_000, 1_000, 100)


def ways(machines: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """How the circuit is read, in words and for `as_hardware`."""
    for shots in SHOTS:
        yield f"{shots:,} shots", {"shots": shots}
    for machine in machines:
        for shots in SHOTS:
            yield f"{machine}, {shots:,} shots", {"shots": shots, "device": circuits.noisy(machine)}


def losses(seeds: tuple[int, ...], references: int, machines: tuple[str, ...]) -> dict[str, list[float]]:
    """Arm or way of reading → held-out loss of each seed, nats per token; in the folder of the study."""
    settings = params.load()
    _, tokenizer = language_model.load(layout.LANGUAGE_MODEL, "fp32", "cpu")
    examples = files.read_rows(layout.split("test"), Example)[:references]
    texts = tokens.tokenize(tokenizer, examples, settings.train.max_tokens)
    found: dict[str, list[float]] = {}

    def note(name: str, adapted: Any) -> None:
        loss = likelihood.per_token(likelihood.likelihoods(adapted, texts, tokenizer.pad_token_id))
        found.setdefault(name, []).append(loss)
        print(f"{name}: {loss:.4f}", flush=True)

    for method in (method for method in settings.methods if method != "qaa"):
        for seed in seeds:
            fresh = language_model.load(layout.LANGUAGE_MODEL, "fp32", "cpu")[0]
            note(method, adapters.restore(Run(method, seed).adapter, fresh))
    for seed in seeds:
        fresh = language_model.load(layout.LANGUAGE_MODEL, "fp32", "cpu")[0]
        adapted = adapters.restore(Run("qaa", seed).adapter, fresh)
        note("QAA, exact", adapted)
        for words, how in ways(machines):
            with as_hardware(adapted, seed=seed, **how):
                note(f"QAA, {words}", adapted)
    return found


def markdown(found: dict[str, list[float]], references: int, machines: tuple[str, ...], about: str) -> str:
    """The bills of the circuit, and a row for each arm and way of reading."""
    settings = params.load()
    width = AutoConfig.from_pretrained(layout.LANGUAGE_MODEL).hidden_size
    circuit, seeds = Circuit.for_width(width), len(found["base"])
    untuned, exact = np.array(found["base"]), np.array(found["QAA, exact"])
    best = min((name for name in found if name in settings.methods), key=lambda name: float(np.mean(found[name])))
    lines = ["| | loss | less exact | gain kept |", "|---|---|---|---|"]
    for name, values in found.items():
        loss = np.array(values)
        kept = (untuned - loss).mean() / (untuned - exact).mean()
        apart = f"{(loss - exact).mean():+.4f} [{(loss - exact).min():+.4f}, {(loss - exact).max():+.4f}]"
        lines.append(f"| {name} | {loss.mean():.4f} | {apart} | {100 * kept:.0f} % |")
    bills = [circuits.bill(circuit, machine, width=width) for machine in machines]
    costs = "; ".join(
        f"{bill.machine} {bill.two_qubit_gates} two-qubit gates, {bill.preparation_two_qubit_gates} of them to prepare "
        f"the state, and a chance of {bill.success:.2f} that none fails"
        for bill in bills
    )
    note = (
        f"{about}. Written by `python -m tests.benchmarks.small_circuit`. Held-out loss, nats per token, of "
        f"{references} references of the planted study `circuit`, whose records a circuit of QAA's own form made ("
        f"width {width}, {circuit.qubits} qubits, one block). Means over {seeds} seeds; in brackets the smallest and "
        f"largest difference from QAA read exactly. Best without QAA's circuit: {best}. One token's circuit: {costs}."
    )
    return "\n\n".join(["# A small QAA as a quantum computer would read it", note, "\n".join(lines)]) + "\n"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("reports/benchmarks"))
    parser.add_argument("--references", type=int, default=32)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--machines", nargs="*", default=MACHINES)
    given = parser.parse_args()
    if not (STUDY / "data/model").is_dir():
        parser.error(f"{STUDY} is not there; run `PYTHONPATH=src python stages/planted.py circuit` first.")
    folder, machines = given.folder.absolute(), tuple(given.machines)
    about = measure.stamp("torch", "qiskit", "qiskit-aer", "qiskit-ibm-runtime")
    with contextlib.chdir(STUDY):
        found = losses(tuple(range(given.seeds)), given.references, machines)
        page = markdown(found, given.references, machines, about)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "small_circuit.md").write_text(page)


if __name__ == "__main__":
    main()
