"""What `score` writes for a run."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class MetricScore:
    """One metric of one run.

    Attributes:
        score: over all rows together.
        signature: how it was computed.
        sums: for each row, the numbers that add up over rows and from whose totals the score follows.
    """

    score: float
    signature: str
    sums: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, kw_only=True)
class RunScores:
    """What the predictions of a run are worth.

    Attributes:
        ids: kind of predictions → the ids of its rows, in their order.
        metrics: key of a metric → its score.
    """

    ids: dict[str, tuple[str, ...]]
    metrics: dict[str, MetricScore]
