"""The measurements as a page of tables."""

import time
from typing import Any

import torch

from ketune.circuits import Circuit, resolve

from . import measure

PACKAGES = ("torch", "pennylane", "pennylane-lightning", "pennylane-lightning-gpu", "tensorcircuit-ng", "jax",
            "torchquantum", "transformers", "peft")  # fmt: skip

CLOSED, REGISTER, DENSE = "closed form", "lightning.qubit, register", "composed once into a dense matrix (torch)"
DEFAULT = "default.qubit, broadcasting, backprop"
TIMES_THE_CLOSED_FORM = (("default.qubit", 1, 50), ("default.qubit", 4, 150), ("TensorCircuit-NG", 1, 30),
                         ("TensorCircuit-NG", 4, 100), ("TorchQuantum", 1, 45), (DENSE, 1, 10))  # fmt: skip


def markdown(found: list[dict[str, Any]], stepped: list[dict[str, Any]], note: str) -> str:
    """Times, ratios and memory for each (layers, batch); then the usual QNodes; then the training steps."""
    place = measure.machine() + (f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else "")
    parts = [
        "# Circuit engine: n = 10 qubits, d = 576, ring of CNOTs, RX, fp32",
        f"{place}; one thread; {time.strftime('%Y-%m-%d')}; {measure.versions(*PACKAGES)}. {note}".strip(),
        "Every round ran every candidate once in one process; medians. Written by `python -m tests.benchmarks.table`. "
        f"The closed form here: {resolve('torch', Circuit(10)).description}.",
        "## Forward and backward, microseconds per token",
        grid(found, "microseconds_per_token", ",.1f"),
        "## Forward alone, microseconds per token",
        grid(found, "forward", ",.1f"),
        "## Time over that of the closed form (median of the ratios within a round)",
        grid(found, "ratio_to_closed_form", ",.1f"),
        "## Peak extra memory of forward and backward, MB, the inputs' gradient included",
        grid(found, "peak_megabytes", ",.0f"),
        "## One QNode call for each token, microseconds per token",
        "With trainable inputs the gradient with respect to padded inputs is NaN.",
        usual_table(found),
    ]
    if stepped:
        parts += ["## A training step of SmolLM2-135M, 4 × 128 tokens, QAA after each of 30 attention blocks"]
        parts += [step_table(stepped)]
    parts += ["## Targets", target_table(found, stepped)]
    return "\n\n".join(parts) + "\n"


def grid(found: list[dict[str, Any]], key: str, form: str) -> str:
    """One row for each candidate, one column for each (layers, batch)."""
    cells = sorted({(r["layers"], r["batch"]) for r in found if r["batch"]})
    at = {(r["name"], r["layers"], r["batch"]): r[key] for r in found}
    lines = ["| |" + "".join(f" L={layers}, B={batch:,} |" for layers, batch in cells), "|---|" + "---|" * len(cells)]
    for name in dict.fromkeys(r["name"] for r in found):
        values = [at.get((name, *cell)) for cell in cells]
        if any(value is not None for value in values):
            lines.append(f"| {name} |" + "".join(f" {'–' if v is None else format(v, form)} |" for v in values))
    return "\n".join(lines)


def usual_table(found: list[dict[str, Any]]) -> str:
    """The rows without a batch."""
    lines = ["| | L | forward + backward |", "|---|---|---|"]
    lines += [f"| {r['name']} | {r['layers']} | {r['microseconds_per_token']:,.0f} |" for r in found if not r["batch"]]
    return "\n".join(lines)


def step_table(stepped: list[dict[str, Any]]) -> str:
    """Seconds of a step and its ratio to LoRA's."""
    lines = ["| | precision | s | ratio to LoRA | ratio of the fastest |", "|---|---|---|---|---|"]
    for r in stepped:
        lines.append(
            f"| {r['name']} | {r['precision']} | {r['seconds']:.2f} | {r['ratio']:.3f} | {r['ratio_of_fastest']:.3f} |"
        )
    return "\n".join(lines)


def target_table(found: list[dict[str, Any]], stepped: list[dict[str, Any]]) -> str:
    """Each target, what was measured, and whether that meets it; only what was measured is listed."""
    at = {(r["name"], r["layers"], r["batch"]): r for r in found}
    lines = ["| check | target | measured | met |", "|---|---|---|---|"]

    def add(check: str, target: float, value: float | None, *, at_least: bool) -> None:
        if value is not None:
            met = value >= target if at_least else value <= target
            sign = "≥" if at_least else "≤"
            lines.append(f"| {check} | {sign} {target:,g} | {value:,.4g} | {'yes' if met else 'no'} |")

    def micros(name: str, layers: int, batch: int | None = 1024) -> float | None:
        return at.get((name, layers, batch), {}).get("microseconds_per_token")

    def over(name: str, base: str, layers: int, batch: int | None = 1024) -> float | None:
        above, below = micros(name, layers, batch), micros(base, layers)
        return above / below if above and below else None

    for name, layers, target in TIMES_THE_CLOSED_FORM:
        found_ratios = [r["ratio_to_closed_form"] for r in found if r["name"].startswith(name)
                        and (r["layers"], r["batch"]) == (layers, 1024)]  # fmt: skip
        add(f"{name} / closed form, B = 1,024, L = {layers}", target, min(found_ratios, default=None), at_least=True)
    deep, flat = micros(CLOSED, 4), micros(CLOSED, 1)
    add("closed form, B = 1,024, L = 1, microseconds per token", 5, flat, at_least=False)
    add("closed form, L = 4 / L = 1, B = 1,024", 1.1, deep / flat if deep and flat else None, at_least=False)
    peaks = [r["peak_megabytes"] for r in found if (r["name"], r["batch"]) == (CLOSED, 4096)]
    known = [peak for peak in peaks if peak is not None]
    add("closed form, extra peak memory at B = 4,096, MB", 19, max(known, default=None), at_least=False)
    usual = over("lightning.qubit per token, adjoint, inputs trainable", REGISTER, 1, None)
    add("lightning.qubit per token / register, L = 1", 10_000, usual, at_least=True)
    add("default.qubit / register, L = 1", 10, over(DEFAULT, REGISTER, 1), at_least=True)
    for r in stepped:
        if r["name"] == "QAA, closed form":
            add(f"training step / LoRA, {r['precision']}", 1.05, r["ratio"], at_least=False)
    return "\n".join(lines)
