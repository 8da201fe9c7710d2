"""Write the comparison of backends: `python -m tests.benchmarks.table [--device cuda] [--folder reports/benchmarks]`.

One thread, one process, every round runs every candidate once, processor time (wall time on a GPU), medians. The
result is <folder>/cpu.md and cpu.csv, or gpu.md and gpu.csv.
"""

import argparse
import csv
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from ketune.circuits import Circuit, expectations

from . import measure, others, step, usual

QUBITS_WIDTH = 576
OURS = {
    "closed form (torch)": ("torch", "closed_form"),
    "statevector (torch)": ("torch", "statevector"),
    "lightning.qubit, register": ("lightning.qubit", "register"),
    "lightning.qubit, choi": ("lightning.qubit", "choi"),
    "lightning.qubit, phase": ("lightning.qubit", "phase"),
}
OTHERS = {
    "TensorCircuit-NG, jax, vmap + jit": others.tensorcircuit_jax,
    "TensorCircuit-NG, torch, vmap": others.tensorcircuit_torch,
    "TorchQuantum": others.torchquantum,
}
BASE = "closed form (torch)"
PACKAGES = ("torch", "pennylane", "pennylane-lightning", "tensorcircuit-ng", "jax", "torchquantum", "transformers", "peft")


def problem(layers: int, batch: int) -> tuple[Circuit, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Circuit, features (B, d), angles and dL/dz (B, n), the tensors that are trained marked so."""
    generator = torch.Generator().manual_seed(layers * 10_000 + batch)
    circuit = Circuit.for_width(QUBITS_WIDTH, layers=layers)
    x = torch.randn(batch, QUBITS_WIDTH, generator=generator).requires_grad_()
    angles = torch.randn(circuit.angle_shape, generator=generator).requires_grad_()
    return circuit, x, angles, torch.randn(batch, circuit.qubits, generator=generator)


def ours(device: str, mode: str, layers: int, batch: int, backward: bool) -> Callable[[], object]:
    """One call of our own, forward or forward and backward."""
    circuit, x, angles, grad = problem(layers, batch)

    def forward() -> object:
        with torch.no_grad():
            return expectations(x, angles, circuit, device, mode=mode)

    def both() -> object:
        return torch.autograd.grad(expectations(x, angles, circuit, device, mode=mode), (x, angles), grad)

    return both if backward else forward


def batched(layers: int, batch: int) -> dict[str, Callable[[], object]]:
    """Forward and backward of everything that takes batches."""
    circuit, x, angles, grad = problem(layers, batch)
    evaluate = usual.default_qubit(circuit)
    found = {name: ours(device, mode, layers, batch, True) for name, (device, mode) in OURS.items()}
    found["default.qubit, broadcasting, backprop"] = lambda: torch.autograd.grad(evaluate(x, angles), (x, angles), grad)
    for name, build in OTHERS.items():
        try:
            found[name] = build(circuit, x, angles, grad)
        except ImportError:
            continue
    return found


def per_token(layers: int) -> dict[str, tuple[Callable[[], object], int]]:
    """The usual QNode for each token, with the number of tokens it is given."""
    found = {}
    for name, method, inputs, tokens in (
        ("lightning.qubit per token, adjoint, inputs trainable", "adjoint", True, 1),
        ("lightning.qubit per token, adjoint, angles only", "adjoint", False, 4),
        ("lightning.qubit per token, parameter-shift, angles only", "parameter-shift", False, 1),
    ):
        circuit, x, angles, grad = problem(layers, tokens)
        evaluate = usual.per_token(circuit, method)

        def run(x=x, angles=angles, grad=grad, evaluate=evaluate, inputs=inputs) -> object:
            trained = (x, angles) if inputs else (angles,)
            return torch.autograd.grad(evaluate(x if inputs else x.detach(), angles), trained, grad)

        found[name] = (run, tokens)
    return found


def rows(layer_counts: list[int], batches: list[int], repeats: int) -> list[dict[str, object]]:
    """Every measurement: forward + backward microseconds per token, ratio to the closed form, peak memory."""
    found = []
    for layers in layer_counts:
        for batch in batches:
            times = measure.interleaved(batched(layers, batch), repeats)
            forward = {name: ours(*OURS[name], layers, batch, False) for name in OURS}
            forward_times = measure.interleaved(forward, repeats)
            for name, seconds in times.items():
                found.append(row(name, layers, batch, seconds, batch, measure.ratio(times, name, BASE)))
                if name in forward_times:
                    found[-1]["forward"] = statistics.median(forward_times[name]) / batch * 1e6
            for name, run in batched(layers, batch).items():
                if "jax" not in name:  # jax must not be forked
                    next(r for r in found if (r["name"], r["layers"], r["batch"]) == (name, layers, batch))[
                        "peak_megabytes"
                    ] = measure.peak_megabytes(run)
            print(f"L = {layers}, B = {batch}: done", flush=True)
        candidates = per_token(layers)
        times = measure.interleaved({name: run for name, (run, _) in candidates.items()}, 3)
        found += [row(name, layers, None, times[name], tokens) for name, (_, tokens) in candidates.items()]
    return found


def row(name, layers, batch, seconds, tokens, ratio=None) -> dict[str, object]:  # noqa: ANN001
    """One line of the csv."""
    micros = [s / tokens * 1e6 for s in seconds]
    return {
        "name": name, "layers": layers, "batch": batch, "microseconds_per_token": statistics.median(micros),
        "fastest": min(micros), "repeats": len(micros), "forward": None, "ratio_to_closed_form": ratio,
        "peak_megabytes": None,
    }  # fmt: skip


def steps(repeats: int) -> list[dict[str, object]]:
    """Training steps, fp32 and bf16 autocast: median processor seconds and ratio to LoRA."""
    found = []
    for half in (False, True):
        times = measure.interleaved(step.steppers(half), repeats, seconds=1e9)
        base = next(iter(times))
        for name, seconds in times.items():
            found.append({
                "name": name, "precision": "bf16 autocast" if half else "fp32", "seconds": statistics.median(seconds),
                "ratio": measure.ratio(times, name, base), "ratio_of_fastest": min(seconds) / min(times[base]),
            })  # fmt: skip
    return found


def markdown(found: list[dict], stepped: list[dict], note: str) -> str:
    """The page: one table of times, one of ratios and memory, one of training steps."""
    cells = sorted({(r["layers"], r["batch"]) for r in found if r["batch"]})
    names = list(dict.fromkeys(r["name"] for r in found))
    at = {(r["name"], r["layers"], r["batch"]): r for r in found}
    head = "| |" + "".join(f" L={layers}, B={batch:,} |" for layers, batch in cells) + "\n|---|" + "---|" * len(cells)

    def table(key: str, form: str) -> str:
        lines = [head]
        for name in names:
            values = [at.get((name, *cell), {}).get(key) for cell in cells]
            if any(v is not None for v in values):
                shown = (format(v, form) if v is not None else "–" for v in values)
                lines.append(f"| {name} |" + "".join(f" {v} |" for v in shown))
        return "\n".join(lines)

    usual_lines = [f"| {r['name']} | {r['layers']} | {r['microseconds_per_token']:,.0f} |" for r in found if not r["batch"]]
    step_lines = [
        f"| {r['name']} | {r['precision']} | {r['seconds']:.2f} | {r['ratio']:.3f} | {r['ratio_of_fastest']:.3f} |"
        for r in stepped
    ]
    parts = [
        "# Circuit engine: n = 10 qubits, d = 576, ring of CNOTs, RX, fp32",
        f"{measure.machine()}; one thread; {time.strftime('%Y-%m-%d')}; {measure.versions(*PACKAGES)}. {note}".strip(),
        "Every round ran every candidate once in one process; processor time; medians. Written by "
        "`python -m tests.benchmarks.table`.",
        "## Forward and backward, microseconds per token", table("microseconds_per_token", ",.1f"),
        "## Forward alone", table("forward", ",.1f"),
        "## Times the closed form (median of the ratios within a round)", table("ratio_to_closed_form", ",.1f"),
        "## Peak extra memory of forward and backward, MB (the inputs' gradient included)",
        table("peak_megabytes", ",.0f"),
        "## One QNode call for each token, microseconds per token",
        "With trainable inputs, its gradient with respect to padded inputs is NaN.",
        "\n".join(["| | L | forward + backward |", "|---|---|---|", *usual_lines]),
    ]  # fmt: skip
    if stepped:
        parts += [
            "## A training step of SmolLM2-135M, 4 × 128 tokens, QAA after each of 30 attention blocks",
            "\n".join(["| | precision | s | ratio to LoRA | ratio of the fastest |", "|---|---|---|---|---|", *step_lines]),
        ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("reports/benchmarks"))
    parser.add_argument("--layers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 1024, 4096])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--step-repeats", type=int, default=6, help="0 leaves the training steps out")
    parser.add_argument("--note", default="", help="a sentence for the head of the page")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = rows(options.layers, options.batches, options.repeats)
    stepped = steps(options.step_repeats) if options.step_repeats else []
    options.folder.mkdir(parents=True, exist_ok=True)
    (options.folder / "cpu.md").write_text(markdown(found, stepped, options.note))
    for name, lines in (("cpu.csv", found), ("cpu_steps.csv", stepped)):
        if lines:
            with (options.folder / name).open("w", newline="") as file:
                writer = csv.DictWriter(file, list(lines[0]))
                writer.writeheader()
                writer.writerows(lines)


if __name__ == "__main__":
    main()
