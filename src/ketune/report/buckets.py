"""Where methods differ: held-out loss by length of the reference, kind of instruction, with and without input.

Differences in a bucket are many and small: they carry intervals, no verdicts.
"""

import numpy as np
import pandas as pd

from ketune.report.cells import Cell, Table, interval, numeral, table
from ketune.report.panels import measure, panel
from ketune.report.results import Results

FEWEST = 5


def buckets(results: Results) -> list[tuple[str, str, list[int]]]:
    """(how it is divided, bucket, indices of its reference texts), of buckets with a few texts at least."""
    tokens = results.sums(results.methods[0], "loss")[0, :, 1]  # nats, tokens
    low, high = np.quantile(tokens, [1 / 3, 2 / 3])
    lengths = [f"up to {low:g} tokens", f"{low:g} to {high:g} tokens", f"over {high:g} tokens"]
    divided = {
        "Reference length": np.select([tokens <= low, tokens <= high], lengths[:2], lengths[2]),
        "Kind of instruction": [reference.kind for reference in results.references],
        "Input": ["with input" if reference.with_input else "without input" for reference in results.references],
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
    caption = f"Held-out loss by bucket, in nats per token, mean over seeds; buckets under {FEWEST} texts are left out."
    return table("buckets", caption, rows)


def differences(results: Results) -> Table | None:
    """Each quantum method less the reference in every bucket, with intervals."""
    reference = results.settings.report.reference
    quantum = [method for method in results.in_family("quantum") if method != reference]
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
    caption = (
        "Difference in held-out loss by bucket, in nats per token; the intervals are not corrected for their number."
    )
    return table("buckets_against_reference", caption, rows)
