"""What the search for a method's rates tells its reader: edges, ties, and every trial that was set aside."""

from collections.abc import Collection, Mapping
from typing import Literal

from ketune.records.training import Trial
from ketune.tuning.choice import Choice, objection, shown

Edge = Literal["lower", "upper"]
"""The end of the rates tried at which one lies."""


def edges(rates: Mapping[str, float], trials: Collection[Trial], searched: Collection[str]) -> dict[str, Edge]:
    """Searched rate → "lower" or "upper", where it is the smallest or the largest that was tried."""
    found: dict[str, Edge] = {}
    for name in searched:
        tried = sorted({trial.rates[name] for trial in trials})
        if rates[name] in (tried[0], tried[-1]):
            found[name] = "lower" if rates[name] == tried[0] else "upper"
    return found


def remarks(choice: Choice, trials: Collection[Trial], untrained: float, searched: Collection[str]) -> list[str]:
    """Sentences on the choice; none where the lowest loss won, inside its range, and nothing spoke against it."""
    against = objection(choice.winner, trials, untrained)
    return [
        *([f"Every trial has an objection; the winner's is the mildest: {against.words}."] if against.severity else []),
        *_set_aside(choice, trials, untrained),
        *_tie(choice),
        *(
            f"{name}: {choice.winner.rates[name]:g} is the {'smallest' if edge == 'lower' else 'largest'} rate that "
            f"was tried; the best may lie beyond the {edge} end of its range."
            for name, edge in edges(choice.winner.rates, trials, searched).items()
        ),
    ]


def _set_aside(choice: Choice, trials: Collection[Trial], untrained: float) -> list[str]:
    sentences, winners = [], objection(choice.winner, trials, untrained).severity
    for trial in trials:
        against = objection(trial, trials, untrained)
        if trial.loss is None or choice.winner.loss is None or trial.seed != choice.winner.seed:
            continue
        lower = trial.rates != choice.winner.rates and trial.loss <= choice.winner.loss
        if lower and against.severity > winners:
            sentences.append(f"{shown(trial.rates)}: loss {trial.loss:.4f}, set aside, because {against.words}.")
    return sentences


def _tie(choice: Choice) -> list[str]:
    if choice.winner.rates == choice.best.rates:
        return []
    return [
        f"{shown(choice.best.rates)} had the lowest loss; {shown(choice.winner.rates)} is within the noise of it, "
        f"{choice.noise:.4f} nats, and smaller."
    ]
