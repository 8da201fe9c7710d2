"""Write how costs grow: `python -m tests.benchmarks.scale [--folder reports/benchmarks]`.

The circuit, forward and backward on one thread, against tokens, layers and qubits, one of them at a time; processor
time, interleaved, medians. Then what the pipeline takes for itself against methods and seeds: `dvc repro` where nothing
is to be done. The result is scale.md, scale.csv and scale.svg in the folder.
"""

import argparse
import csv
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.ticker import FuncFormatter, NullFormatter

from ketune import methods
from ketune.circuits import Circuit, expectations
from ketune.report import drawing
from ketune.report.style import SHADES

from . import measure, noop, usual

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

STUDIED = methods.with_controls("base", "full", "lora", "lora_r1", "sora", "prefix", "qaa", "quantum_peft", "qtha")
# (methods, seeds), the least of them a project as small as can be
PIPELINES = [(2, 1), (10, 1), (10, 3), (len(STUDIED), 3), (len(STUDIED), 8)]


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


def rows(repeats: int, seconds: float, without: list[str]) -> list[dict[str, Any]]:
    """One line for each series, problem and way but those left out: microseconds per token."""
    found: list[dict[str, Any]] = []
    for series, problems in SERIES.items():
        for tokens, layers, width in problems:
            tried = {name: run for name, run in ways(tokens, layers, width).items() if name not in without}
            times = measure.interleaved(tried, repeats, seconds)
            for name, values in times.items():
                line = {"series": series, "tokens": tokens, "layers": layers, "width": width, "way": name}
                found.append(line | {"microseconds_per_token": statistics.median(values) / tokens * 1e6})
            print(f"{tokens} tokens, L = {layers}, d = {width}: done", flush=True)
    return found


def pipelines(rounds: int) -> list[tuple[int, int, int, float]]:
    """(methods, seeds, stages, seconds of `dvc repro` with nothing to do), medians, one project after another."""
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        for count, seeds in PIPELINES:
            project = noop.pipeline(Path(scratch) / f"{count}x{seeds}", STUDIED[:count], list(range(seeds)))
            seconds = statistics.median(noop.seconds(project) for _ in range(rounds))
            found.append((count, seeds, 2 + count + 3 * count * seeds, seconds))
            print(f"{count} methods, {seeds} seeds: {seconds:.1f} s", flush=True)
    return found


def markdown(found: list[dict[str, Any]], repeated: Sequence[tuple[int, int, int, float]], note: str) -> str:
    """One table for each series, a column for each problem."""
    head = f"{measure.stamp('torch', 'pennylane', threads=1)}."
    parts = ["# How costs grow", f"{head} {note}".strip()]
    parts.append("Written by `python -m tests.benchmarks.scale`; medians. ![Curves](scale.svg)")
    parts.append("The circuit (RX, ring of CNOTs, fp32): microseconds per token, forward and backward.")
    for series, problems in SERIES.items():
        varied = next(i for i in range(3) if len({problem[i] for problem in problems}) > 1)
        columns = "".join(f" {problem[varied]:,} |" for problem in problems)
        lines = [f"| |{columns}", "|---|" + "---|" * len(problems)]
        for way in dict.fromkeys(str(r["way"]) for r in found):
            cells = [r for r in found if r["series"] == series and r["way"] == way]
            lines.append(f"| {way} |" + "".join(f" {r['microseconds_per_token']:,.1f} |" for r in cells))
        parts += [f"## {series}", "\n".join(lines)]
    lines = ["| methods | seeds | stages | seconds | milliseconds a stage |", "|---|---|---|---|---|"]
    lines += [f"| {m} | {s} | {n} | {time:.1f} | {1000 * time / n:.0f} |" for m, s, n, time in repeated]
    words = "What DVC takes to find that nothing is to be done; it reads `params.yaml` and its own lock at every stage."
    parts += ["## Methods and seeds: `dvc repro` with nothing to do", f"{words} {measure.versions('dvc')}."]
    return "\n\n".join([*parts, "\n".join(lines)]) + "\n"


def figure(found: list[dict[str, Any]]) -> str:
    """The series side by side on logarithmic axes, as SVG."""
    ways_drawn = list(dict.fromkeys(row["way"] for row in found))
    colours = [shade[1] for family in ("quantum", "classical", "control") for shade in SHADES[family]]
    with drawing.canvas(10.5, 3.9, 1, 3, sharey=True) as (canvas, panels):
        for panel, (series, problems) in zip(panels, SERIES.items(), strict=True):
            varied = next(i for i in range(3) if len({problem[i] for problem in problems}) > 1)
            at = [problem[varied] for problem in problems]
            for way, colour in zip(ways_drawn, colours, strict=False):
                drawn = [row for row in found if (row["series"], row["way"]) == (series, way)]
                values = [row["microseconds_per_token"] for row in drawn]
                panel.plot(at, values, marker="o", markersize=4, color=colour, label=way)
            panel.set(xscale="log", yscale="log", title=series.partition(",")[0], xlabel=series)
            panel.grid(axis="y")
            for axis in (panel.xaxis, panel.yaxis):
                axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
                axis.set_minor_formatter(NullFormatter())
            panel.set_xticks(at)
            panel.tick_params(axis="x", rotation=45)
        panels[0].set_ylabel("µs a token, forward and backward")
        canvas.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
        return drawing.finish(canvas, "scale", "How the circuit's cost grows with tokens, layers and qubits").svg


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("reports/benchmarks"))
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=10.0, help="a way stops after these and two measurements")
    parser.add_argument("--without", nargs="*", default=[], choices=[*WAYS, DEFAULT], help="ways to leave out")
    parser.add_argument("--rounds", type=int, default=3, help="of dvc repro in each project")
    parser.add_argument("--note", default="", help="a sentence for the head of the page")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = rows(options.repeats, options.seconds, options.without)
    options.folder.mkdir(parents=True, exist_ok=True)
    (options.folder / "scale.md").write_text(markdown(found, pipelines(options.rounds), options.note))
    (options.folder / "scale.svg").write_text(figure(found))
    with (options.folder / "scale.csv").open("w", newline="") as target:
        writer = csv.DictWriter(target, list(found[0]))
        writer.writeheader()
        writer.writerows(found)


if __name__ == "__main__":
    main()
