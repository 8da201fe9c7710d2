"""The simulated decisions as a page of tables: reports/benchmarks/statistics.md."""

from pathlib import Path

import numpy as np

PAGE = Path(__file__).parents[2] / "reports/benchmarks/statistics.md"
Shares = dict[tuple[str, int, int], dict[str, float]]
NULL = {
    "wrong": "a planned word is wrong",
    "wrong before": "… by the rule before",
    "wrongly confirmed": "wrong and confirmed",
    "covered, plain": "95 % interval holds the truth",
    "covered, circuit": "… of the circuit less a control",
    "wrongly contributes, frozen": "wrongly contributes, like its frozen copy",
    "wrongly contributes, plain4": "… like another control",
    "worse than a control": "worse than a control",
    "wrongly comparable": "comparable, a margin apart",
}
FOUND = {
    "detectable, plain": "“detectable” found",
    "detectable, circuit": "… of the circuit",
    "comparable": "alike and called comparable",
    "contributes, far": "contributes, 0.50 nats",
}


def write(found: Shares, trials: int, differences: tuple[float, ...]) -> None:
    """Write the page."""
    powers = {}
    for size in differences:
        powers |= {
            f"found, {size}": f"{size:.2f} nats found",
            f"found before, {size}": "… by the rule before",
            f"confirmed, {size}": "… and confirmed",
            f"contributes, {size}": "… by the circuit, contributes",
        }
    parts = [
        "# The decision rule on simulated studies",
        f"{trials:,} studies a row ({len(range(0, trials, 4)):,} where power and contribution are asked for), judged "
        "by `ketune.statistics.decide`: 14 arms, four planned comparisons at 0.05 together, a circuit with four "
        f"controls. A share of 5 % is known to ±{200 * np.sqrt(0.05 * 0.95 / trials):.1f} points. How studies are "
        "drawn stands in `tests/benchmarks/studies.py`; written by `python -m tests.benchmarks.decisions`.",
        "Three and five seeds confirm nothing by design, so there nothing contributes either. The last mix has been "
        "chosen against the rule: each planned comparison is with the arm whose runs differ most. There the error is "
        "above 5 % with three and five seeds, as a variance that other arms lend is too small. The rule before is the "
        "first one of this project: seeds enter by Student's t on each comparison's own variance, which at three seeds "
        "has two degrees of freedom. Sizes are those of an earlier study; that a planned comparison is of the circuit "
        "itself, as in the published studies, is not among the mixes: it lends and borrows no variance.",
        "## Where nothing is true, in %",
        _table(found, NULL),
        "## What is found, in %",
        _table(found, powers),
        _table(found, FOUND),
    ]
    PAGE.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _table(found: Shares, columns: dict[str, str]) -> str:
    lines = [f"| mix | seeds | references | {' | '.join(columns.values())} |", "|---|" + "---:|" * (len(columns) + 2)]
    for (mix, seeds, references), shares in found.items():
        values = " | ".join(f"{100 * shares[key]:.1f}" for key in columns)
        lines.append(f"| {mix} | {seeds} | {references} | {values} |")
    means = " | ".join(f"{100 * np.mean([shares[key] for shares in found.values()]):.1f}" for key in columns)
    return "\n".join([*lines, f"| **mean** | | | {means} |"])
