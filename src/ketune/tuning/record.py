"""What a search for learning rates leaves behind."""

from dataclasses import dataclass

from ketune.movement import Movement


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training run at given rates, and the loss on validation records after it; None where it diverged."""

    rates: dict[str, float]
    seed: int
    loss: float | None
    moved: tuple[Movement, ...]
