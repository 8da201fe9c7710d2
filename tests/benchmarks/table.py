"""Write the comparison of backends: `python -m tests.benchmarks.table [--device cuda] [--folder reports/benchmarks]`.

One process, one thread; every round runs every candidate once; processor time on a CPU, wall time with the queue
drained on a GPU; medians. The result is cpu.md, cpu.csv and cpu_steps.csv in the folder, or the same under gpu.
"""

import argparse
import csv
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ketune.circuits import Circuit, expectations, resolve
from ketune.ground.errors import InputError

from . import measure, others, page, step, usual

WIDTH = 576
BASE = page.CLOSED
OURS = {
    BASE: ("torch", "closed_form"),
    "closed form, without the kernel": ("torch", "eager"),
    "statevector (torch)": ("torch", "statevector"),
} | {
    f"{device}, {mode}": (device, mode)
    for device in ("lightning.qubit", "lightning.kokkos", "lightning.gpu")
    for mode in ("register", "choi", "phase")
}
OTHERS = {
    "composed once into a dense matrix (torch)": others.dense,
    "memory traffic alone: x read twice, dL/dx written": others.traffic,
    "TensorCircuit-NG, jax, vmap + jit": others.tensorcircuit_jax,
    "TensorCircuit-NG, torch, vmap": others.tensorcircuit_torch,
    "TorchQuantum": others.torchquantum,
}
USUAL = {
    "lightning.qubit per token, adjoint, inputs trainable": ("adjoint", True, 1),
    "lightning.qubit per token, adjoint, angles only": ("adjoint", False, 4),
    "lightning.qubit per token, parameter-shift, angles only": ("parameter-shift", False, 1),
}
Run = Callable[[], object]


def synchronised() -> float:
    """Wall time once the GPU has nothing left to do."""
    torch.cuda.synchronize()
    return time.perf_counter()


def problem(layers: int, batch: int, place: str) -> tuple[Circuit, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Circuit, features (B, d), angles and dL/dz (B, n); the first two tensors require gradients."""
    generator = torch.Generator().manual_seed(layers * 10_000 + batch)
    circuit = Circuit.for_width(WIDTH, layers=layers)
    x = torch.randn(batch, WIDTH, generator=generator).to(place).requires_grad_()
    angles = torch.randn(circuit.angle_shape, generator=generator).to(place).requires_grad_()
    return circuit, x, angles, torch.randn(batch, circuit.qubits, generator=generator).to(place)


def present(place: str) -> dict[str, tuple[str, str]]:
    """Our own backends that work here; lightning.gpu only where it is asked for."""
    found = {}
    for name, (device, mode) in OURS.items():
        if device == "lightning.gpu" and place == "cpu":
            continue
        try:
            resolve(device, Circuit(2), mode)
        except InputError:
            continue
        found[name] = (device, mode)
    return found


def ours(backend: tuple[str, str], layers: int, batch: int, place: str, *, backward: bool) -> Run:
    """One call of our own, forward or forward and backward."""
    circuit, x, angles, grad = problem(layers, batch, place)
    device, mode = backend

    def forward() -> object:
        with torch.no_grad():
            return expectations(x, angles, circuit, device, mode=mode)

    def both() -> object:
        return torch.autograd.grad(expectations(x, angles, circuit, device, mode=mode), (x, angles), grad)

    return both if backward else forward


def batched(layers: int, batch: int, place: str, *, forkable: bool = False) -> dict[str, Run]:
    """Forward and backward of everything that takes batches."""
    circuit, x, angles, grad = problem(layers, batch, place)
    found = {name: ours(backend, layers, batch, place, backward=True) for name, backend in present(place).items()}
    evaluate = usual.default_qubit(circuit)
    found["default.qubit, broadcasting, backprop"] = lambda: torch.autograd.grad(evaluate(x, angles), (x, angles), grad)
    for name, build in OTHERS.items():
        installed = build in (others.dense, others.traffic)
        if not installed and (place != "cpu" or (forkable and "TensorCircuit" in name)):
            continue
        try:
            found[name] = build(circuit, x, angles, grad)
        except ImportError:
            continue
    return found


def peaks(layer_counts: list[int], batches: list[int], place: str) -> dict[tuple[str, int, int], float | None]:
    """Peak extra megabytes of forward and backward, of everything but TensorCircuit-NG."""
    found = {}
    for layers in layer_counts:
        small = batched(layers, 32, place, forkable=True)
        for batch in batches:
            for name, run in batched(layers, batch, place, forkable=True).items():
                if place == "cpu":
                    found[name, layers, batch] = measure.peak_megabytes(small[name], run)
                else:
                    found[name, layers, batch] = measure.peak_gpu_megabytes(run)
    return found


def per_token(layers: int) -> dict[str, Run]:
    """The usual QNode for each token."""
    found = {}
    for name, (method, inputs, tokens) in USUAL.items():
        circuit, x, angles, grad = problem(layers, tokens, "cpu")
        evaluate, given = usual.per_token(circuit, method), x if inputs else x.detach()
        trained = (x, angles) if inputs else (angles,)
        found[name] = lambda e=evaluate, g=given, a=angles, t=trained, d=grad: torch.autograd.grad(e(g, a), t, d)
    return found


def row(name: str, layers: int, batch: int | None, seconds: list[float], tokens: int, **more: Any) -> dict[str, Any]:
    """One line of the csv."""
    micros = [s / tokens * 1e6 for s in seconds]
    line = {"name": name, "layers": layers, "batch": batch, "microseconds_per_token": statistics.median(micros)}
    line |= {"fastest": min(micros), "repeats": len(micros), "forward": None, "ratio_to_closed_form": None}
    return line | {"peak_megabytes": None} | more


def rows(layer_counts: list[int], batches: list[int], repeats: int, place: str) -> list[dict[str, Any]]:
    """Every measurement: microseconds per token, ratio to the closed form, peak memory."""
    clock = time.process_time if place == "cpu" else synchronised
    memory = peaks(layer_counts, batches, place)  # first: a process that has started jax must not be forked
    found = []
    for layers in layer_counts:
        for batch in batches:
            times = measure.interleaved(batched(layers, batch, place), repeats, clock=clock)
            calls = {name: ours(b, layers, batch, place, backward=False) for name, b in present(place).items()}
            forward = measure.interleaved(calls, repeats, clock=clock)
            for name, seconds in times.items():
                found.append(row(name, layers, batch, seconds, batch, peak_megabytes=memory.get((name, layers, batch))))
                found[-1]["ratio_to_closed_form"] = measure.ratio(times, name, BASE)
                if name in forward:
                    found[-1]["forward"] = statistics.median(forward[name]) / batch * 1e6
            print(f"L = {layers}, B = {batch}: done", flush=True)
        times = measure.interleaved(per_token(layers), 3)
        found += [row(name, layers, None, seconds, USUAL[name][2]) for name, seconds in times.items()]
    return found


def steps(repeats: int, place: str) -> list[dict[str, Any]]:
    """Training steps, fp32 and bf16 autocast: median seconds and ratio to LoRA."""
    found = []
    clock = time.process_time if place == "cpu" else synchronised
    for half in (False, True):
        times = measure.interleaved(step.steppers(half, place), repeats, 1e9, clock)
        base = next(iter(times))
        for name, seconds in times.items():
            line = {"name": name, "precision": "bf16 autocast" if half else "fp32"}
            line |= {"seconds": statistics.median(seconds), "ratio": measure.ratio(times, name, base)}
            found.append(line | {"ratio_of_fastest": min(seconds) / min(times[base])})
    return found


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--folder", type=Path, default=Path("reports/benchmarks"))
    parser.add_argument("--layers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 1024, 4096])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--step-repeats", type=int, default=6, help="0 leaves the training steps out")
    parser.add_argument("--note", default="", help="a sentence for the head of the page")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = rows(options.layers, options.batches, options.repeats, options.device)
    stepped = steps(options.step_repeats, options.device) if options.step_repeats else []
    name = "cpu" if options.device == "cpu" else "gpu"
    options.folder.mkdir(parents=True, exist_ok=True)
    (options.folder / f"{name}.md").write_text(page.markdown(found, stepped, options.note))
    for file, lines in ((f"{name}.csv", found), (f"{name}_steps.csv", stepped)):
        if lines:
            with (options.folder / file).open("w", newline="") as target:
                writer = csv.DictWriter(target, list(lines[0]))
                writer.writeheader()
                writer.writerows(lines)


if __name__ == "__main__":
    main()
