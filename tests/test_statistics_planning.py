"""A plan's power is what a study of that size then has."""

import tracemalloc

import numpy as np
import pytest

from ketune import statistics
from ketune.statistics import Panel
from ketune.statistics.planning import Design, Sources, outlook, sources

TYPICAL = Sources(seed=2 * 0.0125**2, reference=2 * 0.04**2, rest=2 * 0.03**2, lent=1e6, lenders=12)
ARMS = [f"arm{i}" for i in range(12)]


def study(rng, seeds, references, gap=0.0):
    """Twelve arms whose differences vary as TYPICAL says; the first is better than the second by `gap`."""

    def arm(shift):
        runs = 0.0125 * rng.standard_normal((seeds, 1)) + 0.03 * rng.standard_normal((seeds, references))
        return statistics.mean(2 + runs + 0.04 * rng.standard_normal(references) - shift, lower_is_better=True)

    return Panel({name: arm(gap if name == "arm0" else 0.0) for name in ARMS})


@pytest.mark.parametrize(("seeds", "references", "gap"), [(3, 40, 0.03), (8, 40, 0.02)])
def test_power_is_met_by_studies_of_that_size(seeds, references, gap):
    rng, level, trials = np.random.default_rng(seeds), 0.0125, 300
    promised = outlook(TYPICAL, Design(seeds, references, level))
    found = [study(rng, seeds, references, gap).estimate("arm0", "arm1") for _ in range(trials)]
    assert promised.standard_error == pytest.approx(np.sqrt(np.mean([one.standard_error**2 for one in found])), rel=0.1)
    assert promised.power(gap) == pytest.approx(np.mean([one.p_value() <= level for one in found]), abs=0.09)
    assert promised.confirmed(gap) == pytest.approx(np.mean([one.p_seeds <= level for one in found]), abs=0.09)


def test_a_pilot_tells_where_variation_comes_from():
    rng = np.random.default_rng(0)
    found = [sources(study(rng, 2, 60), "arm0", "arm1") for _ in range(60)]
    for name in ("seed", "reference", "rest"):
        assert np.mean([getattr(one, name) for one in found]) == pytest.approx(getattr(TYPICAL, name), rel=0.25)
    assert {one.lenders for one in found} == {12}


def test_more_seeds_and_more_references_promise_more():
    sizes = {(s, p): outlook(TYPICAL, Design(s, p, 0.0125)).detectable for s in (3, 8) for p in (40, 400)}
    assert sizes[3, 40] > sizes[3, 400] > sizes[8, 400]
    assert sizes[3, 40] > sizes[8, 40] > sizes[8, 400]
    stricter = outlook(TYPICAL, Design(8, 400, 0.001))
    assert stricter.detectable > sizes[8, 400]
    assert stricter.power(stricter.detectable) == pytest.approx(0.8, abs=0.08)


def test_a_comparison_that_stands_alone_promises_less():
    alone = Sources(TYPICAL.seed, TYPICAL.reference, TYPICAL.rest, lent=0.0, lenders=0)
    design = Design(3, 400, 0.05)
    assert outlook(alone, design).detectable > 1.5 * outlook(TYPICAL, design).detectable


def test_five_seeds_are_never_confirmed_at_0_05():
    assert outlook(TYPICAL, Design(5, 400, 0.05)).confirmed(10.0) == 0.0
    assert outlook(TYPICAL, Design(6, 400, 0.05)).confirmed(10.0) == 1.0


def test_a_plan_of_many_seeds_needs_little_memory():
    """All sign patterns of 20 seeds times all draws were 31 GiB."""
    tracemalloc.start()
    try:
        confirmed = [outlook(TYPICAL, Design(seeds, 400, 0.0125)).confirmed(0.012) for seeds in (8, 16, 20)]
        assert tracemalloc.get_traced_memory()[1] < 100 * 2**20
    finally:
        tracemalloc.stop()
    assert 0 < confirmed[0] < confirmed[1] < confirmed[2] < 1
