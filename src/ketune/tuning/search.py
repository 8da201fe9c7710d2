"""The search for a method's learning rates, with the same number of trials for every method."""

from collections.abc import Callable, Mapping, Sequence

from ketune.ground.checks import Range
from ketune.ground.errors import InputError
from ketune.ground.params import Tune
from ketune.records.training import Fact, Search, Trial, Tuning
from ketune.tuning import points
from ketune.tuning.choice import candidates, choose
from ketune.tuning.remarks import edges, remarks

Run = Callable[[dict[str, float], int], Trial]  # rates and seed → one training run and its loss


def search(
    run: Run,
    ranges: Mapping[str, Range],
    given: Mapping[str, float],
    untrained: float,
    budget: Tune,
) -> list[Trial]:
    """The budget's `trials` over the whole ranges, `refined` around the best, `confirmed` of all on the second seed.

    The first half of the refined trials reaches from the best to where its neighbours lie; the second half, around the
    best by then, half as far. Two of them make one step. Points that are equal once rounded are tried once.

    Args:
        ranges: the rates to find.
        given: the rates that are not searched; every trial takes them as they are.
        untrained: the loss of the model without training.
    """
    first, second = budget.seeds
    found: list[Trial] = []

    def attempt(rates: dict[str, float]) -> None:
        if all(trial.rates != {**given, **rates} for trial in found):
            found.append(run({**given, **rates}, first))

    for rates in points.over(ranges, budget.trials):
        attempt(rates)
    spacing = budget.trials ** (-1 / len(ranges))
    reaches = (spacing, spacing / 2) if budget.refined > 2 else (spacing,)  # a single point would be the best itself
    for reach in reaches:
        centre, count = candidates(found, untrained, 1)[0].rates, budget.refined // len(reaches)
        for rates in points.around(centre, ranges, reach, count):
            attempt(rates)
    return found + [run(trial.rates, second) for trial in candidates(found, untrained, budget.confirmed)]


def result(
    method: str, trials: Sequence[Trial], untrained: float, ranges: Mapping[str, Range], setting: dict[str, Fact]
) -> Tuning:
    """The rates that won, with the whole record of how.

    Raises:
        InputError: training diverged in every trial.
    """
    choice = choose(trials, untrained)
    if choice is None:
        raise InputError(
            f"{method}.learning_rates: training diverged at every rate tried; give numbers, or lower the ranges in "
            f"src/ketune/methods/{method}.py."
        )
    search = Search(
        ranges={rate: bounds.ends for rate, bounds in ranges.items()},
        trials=tuple(trials),
        untrained=untrained,
        noise=choice.noise,
        edges=edges(choice.winner.rates, trials, ranges),
        remarks=tuple(remarks(choice, trials, untrained, ranges)),
        setting=setting,
    )
    return Tuning(rates=choice.winner.rates, search=search)
