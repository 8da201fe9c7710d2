"""Where methods differ: held-out loss by length of the reference, kind of instruction, with and without input.

The kind is read off the instruction's first words by a stated list, not judged. Differences in a bucket are many and
small: they carry intervals, no verdicts.
"""

import numpy as np
import pandas as pd

from ketune.records import Example
from ketune.report.cells import Cell, Table, interval, numeral, table
from ketune.report.panels import measure, panel
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
    references = results.of(results.methods[0])[0].references
    examples = [results.test[row.id] for row in references]
    tokens = np.array([row.tokens for row in references])
    low, high = np.quantile(tokens, [1 / 3, 2 / 3])
    lengths = [f"up to {low:g} tokens", f"{low:g} to {high:g} tokens", f"over {high:g} tokens"]
    divided = {
        "Reference length": np.select([tokens <= low, tokens <= high], lengths[:2], lengths[2]),
        "Kind of instruction": [kind(example) for example in examples],
        "Input": ["with input" if example.input else "without input" for example in examples],
    }
    found = []
    for title, names in pd.DataFrame(divided).items():
        groups = [(name, group.index.tolist()) for name, group in names.groupby(names)]
        groups.sort(key=lambda one: lengths.index(one[0]) if one[0] in lengths else -len(one[1]))
        found += [(title, name, where) for name, where in groups if len(where) >= FEWEST]
    return found


def losses(results: Results) -> Table | None:
    """Held-out loss of every method in every bucket."""
    rows = []
    for title, name, where in buckets(results):
        means = {results.title(m): measure(results, m, "loss", where).by_seed().mean() for m in results.methods}
        shown = {column: numeral(float(value), 3) for column, value in means.items()}
        rows.append({"Bucket": Cell(name, note=title), "Texts": numeral(len(where), 0), **shown})
    caption = f"Held-out loss by bucket, mean over seeds; buckets under {FEWEST} texts are left out."
    return table("buckets", caption, rows)


def differences(results: Results) -> Table | None:
    """Each quantum method less the reference in every bucket, with intervals."""
    reference = results.settings.report.reference
    quantum = results.in_family("quantum")
    if reference not in results.methods or not quantum:
        return None
    confidence = results.settings.report.confidence
    rows = []
    for title, name, where in buckets(results):
        losses = panel(results, "loss", where)
        row = {"Bucket": Cell(name, note=title), "Texts": numeral(len(where), 0)}
        for method in quantum:
            found = losses.estimate(method, reference).interval(confidence)
            note = interval(found.low, found.high, 3, signed=True)
            column = f"{results.title(method)} less {results.title(reference)}"
            row[column] = numeral(found.value, 3, signed=True, note=note)
        rows.append(row)
    caption = "Difference in held-out loss by bucket, with intervals that are not corrected for their number."
    return table("buckets_against_reference", caption, rows)
