"""Write how the circuit's cost grows: `python -m tests.benchmarks.scale [--folder reports/benchmarks]`.

Forward and backward on one thread against tokens, layers and qubits, one of them at a time; processor time,
interleaved, medians. The result is scale.md and scale.csv in the folder.
"""

import argparse
import csv
import statistics
from collections.abc import Callable
from pathlib import Path

import torch

from ketune.circuits import Circuit, expectations

from . import measure, usual

WAYS = {
    "closed form": ("torch", "closed_form"),
    "closed form, without the kernel": ("torch", "eager"),
    "statevector (torch)": ("torch", "statevector"),
    "lightning.qubit, register": ("lightning.qubit", "register"),
    "lightning.qubit, phase": ("lightning.qubit", "phase"),
}
DEFAULT = "default.qubit, broadcasting, backprop"
# (tokens, layers, width); d = 576 takes 10 qubits, powers of two fill theirs
SERIES = {
    "Tokens, L = 1, d = 576 (n = 10)": [(tokens, 1, 576) for tokens in (1, 16, 64, 256, 1024, 4096)],
    "Layers, 1,024 tokens, d = 576 (n = 10)": [(1024, layers, 576) for layers in (1, 2, 4, 8, 16)],
    "Qubits, 256 tokens, L = 1, d = 2**n": [(256, 1, 1 << n) for n in (10, 11, 12, 13)],
}


def ways(tokens: int, layers: int, width: int) -> dict[str, Callable[[], object]]:
    """Forward and backward of every way of evaluating one problem."""
    circuit, generator = Circuit.for_width(width, layers=layers), torch.Generator().manual_seed(tokens)
    x = torch.randn(tokens, width, generator=generator, requires_grad=True)
    angles = torch.randn(circuit.angle_shape, generator=generator, requires_grad=True)
    grad = torch.randn(tokens, circuit.qubits, generator=generator)

    def both(evaluate: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Callable[[], object]:
        return lambda: torch.autograd.grad(evaluate(x, angles), (x, angles), grad)

    found = {
        name: both(lambda x, a, d=device, m=mode: expectations(x, a, circuit, d, mode=m))
        for name, (device, mode) in WAYS.items()
    }
    return found | {DEFAULT: both(usual.default_qubit(circuit))}


def rows(repeats: int, seconds: float, without: list[str]) -> list[dict[str, object]]:
    """One line for each series, problem and way but those left out: microseconds per token."""
    found: list[dict[str, object]] = []
    for series, problems in SERIES.items():
        for tokens, layers, width in problems:
            tried = {name: run for name, run in ways(tokens, layers, width).items() if name not in without}
            times = measure.interleaved(tried, repeats, seconds)
            for name, values in times.items():
                line = {"series": series, "tokens": tokens, "layers": layers, "width": width, "way": name}
                found.append(line | {"microseconds_per_token": statistics.median(values) / tokens * 1e6})
            print(f"{tokens} tokens, L = {layers}, d = {width}: done", flush=True)
    return found


def markdown(found: list[dict[str, object]], note: str) -> str:
    """One table for each series, a column for each problem."""
    head = f"{measure.stamp('torch', 'pennylane', threads=1)}."
    parts = ["# How the circuit's cost grows: forward and backward, microseconds per token", f"{head} {note}".strip()]
    parts.append("RX, ring of CNOTs, fp32; medians. Written by `python -m tests.benchmarks.scale`.")
    for series, problems in SERIES.items():
        varied = next(i for i in range(3) if len({problem[i] for problem in problems}) > 1)
        columns = "".join(f" {problem[varied]:,} |" for problem in problems)
        lines = [f"| |{columns}", "|---|" + "---|" * len(problems)]
        for way in dict.fromkeys(str(r["way"]) for r in found):
            cells = [r for r in found if r["series"] == series and r["way"] == way]
            lines.append(f"| {way} |" + "".join(f" {r['microseconds_per_token']:,.1f} |" for r in cells))
        parts += [f"## {series}", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("reports/benchmarks"))
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=10.0, help="a way stops after these and two measurements")
    parser.add_argument("--without", nargs="*", default=[], choices=[*WAYS, DEFAULT], help="ways to leave out")
    parser.add_argument("--note", default="", help="a sentence for the head of the page")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = rows(options.repeats, options.seconds, options.without)
    options.folder.mkdir(parents=True, exist_ok=True)
    (options.folder / "scale.md").write_text(markdown(found, options.note))
    with (options.folder / "scale.csv").open("w", newline="") as target:
        writer = csv.DictWriter(target, list(found[0]))
        writer.writeheader()
        writer.writerows(found)


if __name__ == "__main__":
    main()
