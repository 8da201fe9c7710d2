"""Training curves as numbers that can be compared: how soon they fall, how they end, and how rough they are.

For a seed all methods see the same batches in the same order, so all of these are paired by seed; the steps are all
there are, so seeds alone are random.
"""

from ketune import statistics
from ketune.report.panels import apart, lending
from ketune.report.results import Results
from ketune.statistics import Measure, Panel

MEASURES = {
    "course": "mean training loss over all steps",
    "end": "mean training loss over the last tenth of the steps",
    "roughness": "variance of the training loss's change from one step to the next",
}
UNITS = {"course": "nats per token", "end": "nats per token", "roughness": "(nats per token)²"}
FEWEST = 4  # steps


def panels(results: Results) -> dict[str, Panel]:
    """Measure → all methods that were trained for a few steps at least; none where there are none."""
    trained = [method for method in results.methods if results.losses(method).shape[1] >= FEWEST]
    if not trained:
        return {}
    lent = lending(results.settings)
    return {
        what: Panel({m: measure(results, m, what) for m in trained}, apart(trained), lent, sampled=False)
        for what in MEASURES
    }


def measure(results: Results, method: str, what: str) -> Measure:
    """A mean over steps, or over pairs of steps that do not overlap: (S, T), (S, T/10) or (S, T/2)."""
    losses = results.losses(method)
    if what == "course":
        return statistics.mean(losses, lower_is_better=True)
    if what == "end":
        return statistics.mean(losses[:, -max(1, losses.shape[1] // 10) :], lower_is_better=True)
    even = losses.shape[1] // 2 * 2
    changes = losses[:, 1:even:2] - losses[:, 0:even:2]
    return statistics.mean((changes - changes.mean(axis=1, keepdims=True)) ** 2, lower_is_better=True)
