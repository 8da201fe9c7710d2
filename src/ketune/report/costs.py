"""What training cost: which costs there are, and how tables and figures show them.

Those of the machine compare only where all runs had the same one.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One cost.

    Attributes:
        key: its name in files.
        title, unit: where it stands among all quantities.
        column: of the results' frame.
        size: of the unit, in what that column is measured in.
        digits: decimals that tables print.
        axis: title of its axis in a figure of its own; "" where it has none.
        heading: in the table of costs; "" where it stands elsewhere in it.
        of_machine: whether it depends on the machine.
    """

    key: str
    title: str
    unit: str
    column: str
    size: int = 1
    digits: int = 0
    lower_is_better: bool = True
    axis: str = ""
    heading: str = ""
    of_machine: bool = True


COSTS = (
    Cost(key="parameters", title="Trained parameters", unit="", column="trainable", axis="trainable parameters",
         of_machine=False),
    Cost(key="seconds", title="Training time", unit="seconds", column="wall_seconds", digits=1,
         axis="training time, seconds", heading="Seconds"),
    Cost(key="speed", title="Training speed", unit="tokens per second", column="tokens_per_second",
         lower_is_better=False, heading="Tokens/s"),
    Cost(key="memory", title="Peak memory", unit="MiB", column="peak_memory_bytes", size=2**20,
         axis="peak memory, MiB", heading="Peak MiB"),
    Cost(key="energy", title="Energy", unit="joules", column="energy_joules", axis="energy, joules",
         heading="Joules"),
)  # fmt: skip


def comparable(one_machine: bool) -> list[Cost]:
    """All costs where all runs had one machine, else those that do not depend on it."""
    return [cost for cost in COSTS if one_machine or not cost.of_machine]
