"""What `measure` writes for a run: how likely it finds references where its circuits are read with shots and noise."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One way to read the circuits, and what it gives.

    Attributes:
        shots: measurements of each circuit for each token; None for exact expectations.
        noise: what disturbs the circuits, in words; empty for nothing.
        losses: negative log-likelihood of each text, summed over its scored tokens, in nats.
    """

    shots: int | None
    noise: str
    losses: tuple[float, ...]

    @property
    def title(self) -> str:
        """What a table calls it: "exact", "1,000 shots", "FakeTorino, 100 shots"."""
        parts = [self.noise] if self.noise else []
        return ", ".join([*parts, *([f"{self.shots:,} shots"] if self.shots else [])]) or "exact"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A run's readings, the exact one first.

    Attributes:
        ids: of the texts, references of the test split.
        tokens: how many of each text are scored.
    """

    ids: tuple[str, ...]
    tokens: tuple[int, ...]
    readings: tuple[Reading, ...]
