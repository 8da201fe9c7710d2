"""Where methods differ: held-out loss by length of the reference, kind of instruction, with and without input.

The kind is read off the instruction's first words by a stated list, not judged. Differences in a bucket are many and
small: they carry intervals, no verdicts.
"""

from collections.abc import Callable

import numpy as np

from ketune import statistics
from ketune.records import Example
from ketune.report.cells import Cell, Table, interval, numeral
from ketune.report.comparisons import measure, resampling
from ketune.report.results import Results

KINDS = {
    "question": ("what", "who", "when", "where", "why", "which", "how", "is", "are", "does", "do", "can", "could"),
    "explain": ("explain", "describe", "compare", "discuss", "tell", "define", "analyze", "analyse"),
    "rewrite": ("rewrite", "edit", "correct", "paraphrase", "translate", "convert", "change", "fix", "replace",
                "rephrase", "improve", "make", "turn"),
    "summarise": ("summarize", "summarise", "shorten", "condense"),
    "classify": ("classify", "identify", "categorize", "detect", "decide", "sort", "determine", "label", "find",
                 "extract", "select", "choose"),
    "calculate": ("calculate", "compute", "solve", "evaluate", "add", "multiply", "count", "estimate"),
    "write": ("write", "create", "generate", "compose", "design", "construct", "draft", "come", "develop", "produce",
              "brainstorm", "invent", "propose", "suggest", "list", "name", "give", "provide"),
}  # fmt: skip
FEWEST = 5


def kind(example: Example) -> str:
    """The first known word among the instruction's first three, or "other"."""
    for word in example.instruction.lower().split()[:3]:
        for name, words in KINDS.items():
            if word.strip(".,:;!?'\"") in words:
                return name
    return "other"


def buckets(results: Results) -> list[tuple[str, str, list[int]]]:
    """(how it is divided, bucket, indices of its reference texts), of buckets with a few texts at least."""
    examples = [results.test[key] for key in results.likelihood_ids()]
    tokens = results.likelihoods(results.methods[0])[1][0]
    low, high = np.quantile(tokens, [1 / 3, 2 / 3])
    lengths = {f"up to {low:g} tokens": tokens <= low, f"{low:g} to {high:g} tokens": (tokens > low) & (tokens <= high),
               f"over {high:g} tokens": tokens > high}  # fmt: skip
    found = [("Reference length", name, np.flatnonzero(mask).tolist()) for name, mask in lengths.items()]
    for title, name in (("Kind of instruction", kind), ("Input", _input)):
        found += [(title, value, where) for value, where in _grouped(examples, name).items()]
    return [bucket for bucket in found if len(bucket[2]) >= FEWEST]


def _input(example: Example) -> str:
    return "with input" if example.input else "without input"


def _grouped(examples: list[Example], name: Callable[[Example], str]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for i, example in enumerate(examples):
        groups.setdefault(name(example), []).append(i)
    return dict(sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])))


def losses(results: Results) -> Table:
    """Held-out loss of every method in every bucket."""
    rows = []
    for title, name, where in buckets(results):
        values = [measure(results, m, "loss", where).by_seed().mean() for m in results.methods]
        rows.append((Cell(name, note=title), numeral(len(where), 0), *(numeral(float(v), 3) for v in values)))
    columns = ("Bucket", "Texts", *map(results.title, results.methods))
    return Table(
        "buckets",
        f"Held-out loss by bucket, mean over seeds; buckets under {FEWEST} texts are left out.",
        columns,
        tuple(rows),
    )


def differences(results: Results) -> Table | None:
    """Each quantum method less the reference in every bucket, with intervals."""
    reference = results.settings.report.reference
    quantum = results.in_family("quantum")
    if reference not in results.methods or not quantum:
        return None
    drawn = resampling(results.settings.report)
    rows = []
    for title, name, where in buckets(results):
        other = measure(results, reference, "loss", where)
        cells = []
        for method in quantum:
            found = statistics.difference(measure(results, method, "loss", where), other, drawn)
            cells.append(numeral(found.value, 3, signed=True, note=interval(found.low, found.high, 3, signed=True)))
        rows.append((Cell(name, note=title), numeral(len(where), 0), *cells))
    columns = ("Bucket", "Texts", *(f"{results.title(m)} less {results.title(reference)}" for m in quantum))
    caption = "Difference in held-out loss by bucket, with intervals that are not corrected for their number."
    return Table("buckets_against_reference", caption, columns, tuple(rows))
