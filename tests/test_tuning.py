"""The search for learning rates: its points, the noise, which trial wins, and that nothing is set aside in silence."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ketune import movement
from ketune.ground.checks import Range
from ketune.ground.errors import InputError
from ketune.ground.params import Tune
from ketune.records.training import Movement, Trial
from ketune.tuning import choice, points
from ketune.tuning.remarks import edges, remarks
from ketune.tuning.search import result, search

UNTRAINED = 2.0
RANGES = {"projection": Range(1e-4, 1e-1), "angles": Range(1e-3, 1.0), "third": Range(1e-5, 1e-3)}


def ranges(rates: int) -> dict[str, Range]:
    return dict(list(RANGES.items())[:rates])


def trial(rate: float, loss: float | None, seed: int = 0, moved: tuple[Movement, ...] = (), **others: float) -> Trial:
    return Trial(rates={"weights": rate, **others}, seed=seed, loss=loss, moved=moved)


def on_two_seeds(*pairs: tuple[float, float | None, float | None]) -> list[Trial]:
    return [trial(rate, loss, seed) for rate, *losses in pairs for seed, loss in enumerate(losses)]


@pytest.mark.parametrize("count", [2, 4, 8, 16])
@pytest.mark.parametrize("rates", [1, 2, 3])
def test_every_rate_is_tried_at_as_many_even_levels_as_there_are_points(rates: int, count: int) -> None:
    found = points.over(ranges(rates), count)
    for name, allowed in ranges(rates).items():
        places = sorted(math.log(point[name] / allowed.low) / math.log(allowed.high / allowed.low) for point in found)
        assert places == pytest.approx([(i + 0.5) / count for i in range(count)], abs=1e-3)
    assert found == points.over(ranges(rates), count)


@given(st.integers(1, 3), st.sampled_from([2, 4, 8]), st.floats(0.01, 1), st.data())
def test_points_around_the_best_stay_near_it_and_in_range(
    rates: int, count: int, reach: float, data: st.DataObject
) -> None:
    chosen = ranges(rates)
    centre = {name: r.low * (r.high / r.low) ** data.draw(st.floats(0.001, 0.999)) for name, r in chosen.items()}
    found = points.around(centre, chosen, reach, count)
    assert len(found) == count
    for name, allowed in chosen.items():
        tried, reached = [point[name] for point in found], (allowed.high / allowed.low) ** reach
        furthest = 1.01 * reached  # rates have three digits
        assert all(allowed.holds(rate) and 1 / furthest < rate / centre[name] < furthest for rate in tried)
        if allowed.holds(centre[name] / reached) and allowed.holds(centre[name] * reached):
            assert min(tried) < centre[name] < max(tried)


def test_no_trials_around_the_best_may_be_asked_for() -> None:
    assert points.around({"projection": 0.01}, ranges(1), 0.5, 0) == []


tables = st.integers(2, 5).flatmap(
    lambda rows: st.lists(st.lists(st.floats(0, 3), min_size=2, max_size=2), min_size=rows, max_size=rows)
)


@given(tables, st.lists(st.floats(-1, 1), min_size=5, max_size=5), st.lists(st.floats(-1, 1), min_size=2, max_size=2))
def test_neither_a_better_candidate_nor_a_harder_seed_is_noise(table: list, candidate: list, seed: list) -> None:
    losses = np.array(table)
    shifted = losses + np.array(candidate)[: len(losses), None] + np.array(seed)
    assert choice.noise(shifted) == pytest.approx(choice.noise(losses), abs=1e-9)
    assert choice.noise(np.array(candidate)[: len(losses), None] + np.array(seed)) == pytest.approx(0, abs=1e-9)


def test_noise_is_the_standard_error_of_a_difference_of_means() -> None:
    generator = np.random.default_rng(0)
    draws = 0.02 * generator.standard_normal((4000, 4, 2)) + generator.standard_normal((4000, 1, 2))
    differences = draws[:, 0].mean(axis=1) - draws[:, 1].mean(axis=1)
    estimate = np.sqrt(np.mean([choice.noise(losses) ** 2 for losses in draws]))
    assert estimate == pytest.approx(differences.std(), rel=0.03)


@pytest.mark.parametrize("shape", [(1, 2), (3, 1)])
def test_without_repeats_noise_is_unknown_and_not_zero(shape: tuple[int, int]) -> None:
    assert choice.noise(np.zeros(shape)) is None


@pytest.mark.parametrize(
    ("trials", "winner", "said"),
    [
        (on_two_seeds((0.1, 1.5, 1.52), (0.3, 1.3, 1.31), (0.9, 1.4, 1.38)), 0.3, None),
        (on_two_seeds((0.1, 1.31, 1.33), (0.3, 1.32, 1.30)), 0.1, "0.3 had the lowest loss; weights 0.1 is within"),
        (on_two_seeds((0.1, 1.31, 1.31), (0.3, 1.30, 1.30)), 0.3, None),  # without noise the better one is better
        (  # a candidate beside a failure tells of the noise too: √(2 · (2 · 0.01² + 2 · 0.01² + 2 · 0.02²) / 2 / 2)
            [*on_two_seeds((0.1, 1.31, 1.31), (0.3, 1.30, 1.30), (0.9, 1.40, 1.46)), trial(2.7, None)],
            0.1,
            "weights 0.1 is within the noise of it, 0.0245 nats",
        ),
        (
            [*on_two_seeds((0.1, 1.5, 1.5), (0.3, 1.2, None))],
            0.1,
            "set aside, because training diverged on seed 1",
        ),
        ([*on_two_seeds((0.1, 1.5, 1.5), (0.3, 1.2, 1.2)), trial(0.5, None)], 0.1, "because at weights 0.5 training"),
        ([*on_two_seeds((0.1, 1.5, 1.5), (0.3, 1.2, 1.2)), trial(0.5, 2.1)], 0.1, "the model was no better than"),
        ([*on_two_seeds((0.1, 1.5, 1.5), (0.3, 1.2, 1.2)), trial(0.9, None)], 0.1, "because at weights 0.9 training"),
        (
            [*on_two_seeds((0.1, 1.5, 1.5), (0.2, 1.4, 1.4), (0.3, 1.2, 1.2)), trial(0.5, 1.4), trial(0.9, None)],
            0.3,
            None,  # more than a step away
        ),
        ([*on_two_seeds((0.1, 1.5, 1.5), (0.3, 1.2, 1.2)), trial(0.01, 2.1)], 0.3, None),  # too little is no divergence
        (  # two runs of one seed are no two seeds
            [*on_two_seeds((0.1, 1.2, 1.2), (0.3, 1.4, 1.4)), trial(0.3, 1.4)],
            0.1,
            None,
        ),
        (on_two_seeds((0.3, 1.2, 1.2)), 0.3, None),
        (on_two_seeds((0.3, 2.2, 2.2), (0.1, 2.1, 2.1)), 0.1, "Every trial has an objection"),
    ],
)
def test_the_winner(trials: list[Trial], winner: float, said: str | None) -> None:
    chosen = choice.choose(trials, UNTRAINED)
    assert chosen.winner.rates == {"weights": winner}
    sentences = " ".join(remarks(chosen, trials, UNTRAINED, []))
    assert said in sentences if said else sentences == ""


def test_a_smaller_second_rate_does_not_hide_that_the_first_is_near_divergence() -> None:
    near = trial(0.1, 1.5, angles=0.1)
    assert choice.objection(near, [trial(0.2, None, angles=0.01)], UNTRAINED).severity == choice.BESIDE_FAILURE
    assert choice.objection(near, [trial(0.05, None, angles=0.01)], UNTRAINED).severity == choice.FREE
    far = [trial(0.2, None, angles=9.0), trial(0.1, 1.6, angles=1.0)]
    assert choice.objection(near, far, UNTRAINED).severity == choice.FREE


def budget(refined: int, confirmed: int = 3, seed: int = 0) -> Tune:
    return Tune(all=True, trials=8, refined=refined, confirmed=confirmed, horizon=1.0, validation_records=1, seed=seed)


@pytest.mark.parametrize("refined", [0, 4])
@pytest.mark.parametrize("decades", [1, 2, 3, 4, 5])
def test_the_next_larger_rate_that_was_tried_did_not_fail(decades: int, refined: int) -> None:
    span = {"weights": Range(1e-5, 1e-5 * 10**decades)}

    def run(rates: dict[str, float], seed: int) -> Trial:
        place = math.log10(rates["weights"] / 1e-5) / decades
        return Trial(rates=rates, seed=seed, loss=UNTRAINED + (1.0 if place > 0.6 else -0.1 * place), moved=())

    found = search(run, span, {}, UNTRAINED, budget(refined))
    won = choice.choose(found, UNTRAINED).winner
    assert choice.objection(won, found, UNTRAINED).severity == choice.FREE
    larger = [t for t in found if t.rates["weights"] > won.rates["weights"]]
    assert min(larger, key=lambda t: t.rates["weights"]).loss < UNTRAINED
    assert won.rates["weights"] > 1e-5 * 10 ** (0.4 * decades), "a failure two steps away is none of its business"


def test_a_trial_in_which_a_part_stood_still_gives_way() -> None:
    still = Movement(part="angles", unit="radians", distance=0.011, largest=0.027)
    moved = Movement(part="angles", unit="radians", distance=0.19, largest=0.6)
    trials = [trial(0.1, 1.4, s, (still,)) for s in (0, 1)] + [trial(0.3, 1.5, s, (moved,)) for s in (0, 1)]
    chosen = choice.choose(trials, UNTRAINED)
    assert chosen.winner.rates == {"weights": 0.3}
    (sentence,) = remarks(chosen, trials, UNTRAINED, [])
    assert "angles moved 0.011 rad" in sentence and "set aside" in sentence


def test_where_every_trial_diverges_no_rate_is_made_up() -> None:
    trials = [trial(0.1, None), trial(0.2, None, 1)]
    with pytest.raises(InputError, match=r"qaa\.learning_rates: training diverged at every rate tried; give numbers"):
        result("qaa", trials, UNTRAINED, ranges(1), {})


losses = st.one_of(st.none(), st.floats(1, 2.5))
many = st.lists(st.tuples(st.floats(1e-4, 1e-1), losses, losses), min_size=1, max_size=6, unique_by=lambda row: row[0])


@settings(max_examples=300)
@given(many)
def test_nothing_is_set_aside_in_silence(rows: list[tuple]) -> None:
    trials = on_two_seeds(*rows)
    if all(t.loss is None for t in trials if t.seed == 0) or all(None in row for row in rows):
        assert choice.choose(trials, UNTRAINED) is None
        return
    chosen = choice.choose(trials, UNTRAINED)
    against = choice.objection(chosen.winner, trials, UNTRAINED)
    severities = [max(choice.objection(t, trials, UNTRAINED).severity for t in trials if t.rates == {"weights": row[0]})
                  for row in rows]  # fmt: skip
    assert against.severity <= min(severities) < choice.DIVERGED
    both = {row[0]: (row[1] + row[2]) / 2 for row, s in zip(rows, severities, strict=True) if s == min(severities)}
    assert both[chosen.winner.rates["weights"]] <= min(both.values()) + (chosen.noise or 0) + 1e-12
    lower = [t for t in trials if t.seed == 0 and t.loss is not None and t.loss < chosen.winner.loss]
    aside = [t for t in lower if choice.objection(t, trials, UNTRAINED).severity > against.severity]
    told = " ".join(remarks(chosen, trials, UNTRAINED, []))
    assert all(f"weights {t.rates['weights']:g}: loss {t.loss:.4f}, set aside" in told for t in aside)
    milder = [t for t in lower if t not in aside and t.rates != chosen.winner.rates]
    assert not any(f"weights {t.rates['weights']:g}: loss" in told for t in milder), "the winner has that objection too"
    assert ("had the lowest loss" in told) == (chosen.best.rates != chosen.winner.rates)


def valley(rates: dict[str, float], best: dict[str, float]) -> float:
    return UNTRAINED - 0.2 + 0.05 * sum(math.log(rates[name] / best[name]) ** 2 for name in best)


@pytest.mark.parametrize("refined", [0, 2, 4, 8])
@pytest.mark.parametrize("rates", [1, 2, 3])
def test_methods_get_equal_trials_whatever_the_number_of_their_rates(rates: int, refined: int) -> None:
    calls: list[tuple] = []

    def run(tried: dict[str, float], seed: int) -> Trial:
        calls.append((tuple(tried.values()), seed))
        return Trial(rates=tried, seed=seed, loss=valley(tried, dict.fromkeys(ranges(rates), 0.01)), moved=())

    found = search(run, ranges(rates), {"given": 0.5}, UNTRAINED, budget(refined, seed=7))
    assert len(found) == len(calls) == len(set(calls)) == 11 + refined  # each of them is another run
    assert [seed for _, seed in calls] == [7] * (8 + refined) + [8] * 3
    assert all(t.rates["given"] == 0.5 for t in found)


@pytest.mark.parametrize(
    ("span", "best", "most"),
    [
        (Range(1e-4, 1e-1), 1e-4 * 1000 ** (0.5625 / 8), 8 + 8),  # a point of the second box is one of the first's
        (Range(1e-3, 1.02e-3), 1.01e-3, 3),  # narrower than the digits of a rate
    ],
)
def test_no_rates_are_tried_twice_on_one_seed(span: Range, best: float, most: int) -> None:
    def run(rates: dict[str, float], seed: int) -> Trial:
        return Trial(rates=rates, seed=seed, loss=valley(rates, {"weights": best}), moved=())

    found = search(run, {"weights": span}, {}, UNTRAINED, budget(8))
    runs = [(trial.rates["weights"], trial.seed) for trial in found]
    assert len(runs) == len(set(runs)) and len([seed for _, seed in runs if seed == 0]) <= most
    assert choice.choose(found, UNTRAINED).noise is not None


def test_with_equal_trials_the_search_comes_nearer_than_random_points() -> None:
    generator, gaps = random.Random(0), {"search": 0.0, "random": 0.0}
    two = ranges(2)

    def draw() -> dict[str, float]:
        return {name: math.exp(generator.uniform(math.log(r.low), math.log(r.high))) for name, r in two.items()}

    for _ in range(60):
        best = draw()
        found = search(lambda rates, seed, best=best: Trial(rates=rates, seed=seed, loss=valley(rates, best), moved=()),
                       two, {}, UNTRAINED, budget(4, confirmed=2))  # fmt: skip
        gaps["search"] += min(t.loss for t in found)
        gaps["random"] += min(valley(draw(), best) for _ in range(12))
    assert (gaps["search"] - 60 * 1.8) < 0.75 * (gaps["random"] - 60 * 1.8)


def test_edges_are_of_searched_rates_only() -> None:
    trials = [trial(rate, 1.5, angles=0.1) for rate in (0.1, 0.2, 0.4)]
    assert edges({"weights": 0.1, "angles": 0.1}, trials, ["weights"]) == {"weights": "lower"}
    assert edges({"weights": 0.4, "angles": 0.1}, trials, ["weights"]) == {"weights": "upper"}
    assert edges({"weights": 0.2, "angles": 0.1}, trials, ["weights"]) == {}


ANGLES = [Movement(part="angles", unit="radians", distance=d, largest=2 * d) for d in (0.011, 0.02, 0.19)]


def test_a_part_that_stood_still_voids_the_verdict_in_words() -> None:
    weights = Movement(part="projection", unit="norm", distance=0.5, largest=None)
    assert movement.void("QAA", [(weights, ANGLES[2])]) is None
    (published, once) = (movement.void("QAA", [(weights, ANGLES[0]), (weights, m)]) for m in (ANGLES[1], ANGLES[2]))
    assert published.startswith("QAA: no verdict") and "angles moved 0.011 rad" in published and "2 of 2" in published
    assert "1 of 2 runs" in once and "projection" not in once


@pytest.mark.parametrize(("unit", "distance", "still"), [
    ("radians", 0.03, True), ("radians", 0.031, False), ("relative", 0.001, True), ("relative", 0.0011, False),
    ("norm", 0.0, True), ("norm", 1e-9, False),
])  # fmt: skip
def test_what_counts_as_standing_still(unit: str, distance: float, still: bool) -> None:
    assert movement.stood_still(Movement(part="x", unit=unit, distance=distance, largest=distance)) == still


def test_no_two_trials_lie_close_together() -> None:
    logarithms = np.log([list(point.values()) for point in points.over(ranges(2), 8)])
    steps = np.abs(logarithms[:, None] - logarithms) / np.ptp(logarithms, axis=0)
    distance = np.sqrt((steps**2).sum(axis=-1))
    assert distance[~np.eye(8, dtype=bool)].min() > 0.4
