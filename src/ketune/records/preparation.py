"""What `prepare` says about the data."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """How the data became splits.

    Attributes:
        read: records in the source.
        dropped: reason → records that were left out.
        sizes: split → records.
        too_long: split → records whose prompt fills `train.max_tokens`; of the test split, among those that are used.
        passages: paragraphs of neutral text.
    """

    read: int
    dropped: dict[str, int]
    sizes: dict[str, int]
    too_long: dict[str, int]
    passages: int
