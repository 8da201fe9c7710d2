"""Words follow one rule: levels by role, intervals that agree with words, strong sentences where seeds confirm them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from benchmarks.decisions import rates
from benchmarks.studies import MIXES
from ketune import statistics
from ketune.ground.errors import InputError
from ketune.statistics import Contrast, Panel, decide
from ketune.statistics.attribution import Attribution, attribution
from ketune.statistics.estimates import seeds_to_confirm
from ketune.statistics.holm import holm


def study(gaps, seeds=8, references=100, deviation=0.01, rng_seed=0):
    """A panel of losses: an arm `ref`, ten arms like it, and one for each of `gaps`, better by so much."""
    rng = np.random.default_rng(rng_seed)
    common = rng.standard_normal(references)

    def arm(gap):
        runs = deviation * rng.standard_normal((seeds, 1)) + 0.05 * rng.standard_normal((seeds, references))
        return statistics.mean(2.0 + common + runs - gap, lower_is_better=True)

    names = ["ref", *(f"plain{i}" for i in range(10)), *gaps]
    return {"loss": Panel({name: arm(gaps.get(name, 0.0)) for name in names})}


def loss(*pair):
    return Contrast("loss", *pair)


def near(other="ref"):
    """A study in which `arm` is better than another at 0.05 and not at a tenth of it."""
    for gap in np.arange(0.0, 0.05, 0.001):
        panels = study({"arm": gap})
        if 0.006 < panels["loss"].estimate("arm", other).p_value() < 0.04 and gap > 0:
            return panels
    raise AssertionError("no gap lies between the two levels")


# levels --------------------------------------------------------------------------------------------------------------


def test_holm_against_hand_computed_numbers():
    # sorted 0.005·4, 0.01·3, 0.03·2, 0.04·1 = 0.02, 0.03, 0.06, 0.04 → running maximum
    levels, adjusted = holm([0.01, 0.04, 0.03, 0.005], 0.05)
    assert adjusted == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert levels == pytest.approx((0.05 / 3, 0.025, 0.025, 0.0125))
    assert holm([0.5, 0.6], 0.05)[1] == pytest.approx((1.0, 1.0))
    assert (holm([0.2], 0.05), holm([], 0.05)) == (((0.05,), (0.2,)), ((), ()))


@settings(max_examples=60)
@given(some.lists(some.floats(0, 1), max_size=12))
def test_a_p_value_passes_its_level_exactly_where_the_adjusted_one_passes_alpha(p_values):
    slack = 1e-12  # the two sides are rounded differently
    for p, level, adjusted in zip(p_values, *holm(p_values, 0.05), strict=True):
        assert (p <= level) == (adjusted <= 0.05) or abs(adjusted - 0.05) < slack


@settings(max_examples=20)
@given(some.integers(0, 10_000))
def test_an_interval_excludes_zero_exactly_where_the_word_is_better_or_worse(rng_seed):
    panels = study({"good": 0.02, "bad": -0.015}, seeds=3, rng_seed=rng_seed)
    planned = [loss(arm, "ref") for arm in ("good", "bad", "plain0", "plain1")]
    found = decide(panels, planned, controls=[loss("good", "plain2")], exploratory=[loss("bad", "plain3")])
    for verdict in found.verdicts.values():
        excludes = verdict.low > 0 or verdict.high < 0
        assert excludes == (verdict.word in ("better", "worse")) == (verdict.adjusted_p <= 0.05)
        assert verdict.word != "better" or verdict.high < 0


def test_roles_set_the_level():
    planned = [loss(f"plain{i}", "ref") for i in range(4)]
    panels = study({})
    found = decide(panels, planned, [loss("plain5", "plain6")], [loss("plain7", "plain8"), planned[0]]).verdicts
    assert [found[one].role for one in planned] == ["planned"] * 4
    assert min(found[one].level for one in planned) == 0.0125
    for pair, role in {("plain5", "plain6"): "control", ("plain7", "plain8"): "exploratory"}.items():
        verdict = found[loss(*pair)]
        p = panels["loss"].estimate(*pair).p_value()
        assert (verdict.role, verdict.level, verdict.adjusted_p) == (role, 0.05, p)


def test_what_did_not_run_counts_in_its_family():
    panels, arm = near(), loss("arm", "ref")
    absent = [loss("arm", f"absent{i}") for i in range(9)]
    assert decide(panels, [arm]).verdicts[arm].word == "better"
    found = decide(panels, [arm, *absent]).verdicts
    assert list(found) == [arm] and found[arm].level == 0.05 / 10 and found[arm].word == "not distinguishable"


def test_worse_than_a_control_is_a_claim_that_many_controls_make_harder():
    panels, behind, ahead = near(), loss("ref", "arm"), loss("arm", "ref")
    others = [loss("ref", f"plain{i}") for i in range(9)] + [loss("arm", f"plain{i}") for i in range(9)]
    assert decide(panels, [], [behind]).verdicts[behind].word == "worse"
    crowd = decide(panels, [], [behind, ahead, *others]).verdicts
    assert crowd[behind].word not in ("better", "worse")
    assert crowd[behind].adjusted_p == pytest.approx(10 * panels["loss"].estimate("ref", "arm").p_value())
    assert (crowd[ahead].word, crowd[ahead].level) == ("better", 0.05)  # all must be beaten: no correction


def test_more_planned_comparisons_make_each_harder_and_leave_controls_alone():
    panels, arm, control = near(), loss("arm", "ref"), loss("arm", "plain9")
    few, many = ([arm, *(loss(f"plain{i}", f"plain{i + 1}") for i in range(n))] for n in (0, 9))
    alone, crowd = (decide(panels, planned, [control]).verdicts for planned in (few, many))
    assert alone[arm].word == "better"
    assert crowd[arm].word not in ("better", "worse")
    assert crowd[arm].adjusted_p == pytest.approx(10 * alone[arm].adjusted_p)
    assert crowd[arm].detectable > alone[arm].detectable
    assert crowd[control] == alone[control]


def test_a_pair_that_is_planned_the_other_way_round_has_one_verdict():
    panels, planned, control = near(), loss("arm", "ref"), loss("ref", "arm")
    others = [loss(f"plain{i}", f"plain{i + 1}") for i in range(9)]
    found = decide(panels, [planned, *others], [control])
    assert control not in found.verdicts and found.verdicts[planned].role == "planned"
    assert found.between("loss", "ref", "arm") == found.verdicts[planned].reversed()
    assert found.between("loss", "arm", "ref").word == "not distinguishable"


def test_a_family_may_span_metrics():
    panels = study({"good": 0.1}) | {"score": study({"good": -0.1}, rng_seed=1)["loss"]}
    found = decide(panels, [loss("good", "ref"), Contrast("score", "good", "ref")]).verdicts
    assert [one.word for one in found.values()] == ["better", "worse"]
    assert sorted(one.level for one in found.values()) == [0.025, 0.05]


# words ---------------------------------------------------------------------------------------------------------------


def test_direction_follows_the_metric():
    panels = study({"good": 0.1})
    scores = {arm: statistics.mean(-one.by_prompt()) for arm, one in panels["loss"].measures.items()}
    found = decide(panels | {"score": Panel(scores)}, [loss("good", "ref"), Contrast("score", "good", "ref")]).verdicts
    assert [one.word for one in found.values()] == ["better", "better"]
    assert [one.difference < 0 for one in found.values()] == [True, False]  # the metric's own sign stays


def test_comparable_needs_the_interval_within_the_computed_margin():
    pairs = [loss(f"plain{i}", f"plain{i + 1}") for i in range(9)]
    panels = study({}, references=1000)
    found, margin = decide(panels, [], exploratory=pairs).verdicts.values(), panels["loss"].margin
    assert sum(one.word == "comparable" for one in found) >= 3
    assert margin == pytest.approx(np.sqrt(2) * 0.01, rel=0.3)
    assert all(one.word != "comparable" or abs(one.difference) < margin for one in found)
    few = decide(study({}, seeds=3), [], exploratory=pairs).verdicts.values()
    assert not any(one.word == "comparable" for one in few)


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_have_no_word(seeds):
    found = decide(study({"good": 1.0}, seeds=seeds), [loss("good", "ref")]).verdicts[loss("good", "ref")]
    assert (found.word, found.confirmed, found.seeds) == ("too few seeds", False, seeds)
    assert found.low < -1.0 < found.high


@pytest.mark.parametrize(("seeds", "confirmed"), [(3, False), (5, False), (6, True), (8, True)])
def test_only_six_seeds_can_confirm_a_word(seeds, confirmed):
    found = decide(study({"good": 1.0}, seeds=seeds), [loss("good", "ref")]).verdicts[loss("good", "ref")]
    assert (found.word, found.confirmed) == ("better", confirmed)
    assert found.p_seeds == 2.0 ** (1 - seeds)


def test_a_verdict_reads_the_same_from_both_sides():
    decisions = decide(study({"good": 0.1}), [loss("good", "ref")])
    there, back = decisions.between("loss", "good", "ref"), decisions.between("loss", "ref", "good")
    assert (there.word, back.word) == ("better", "worse")
    assert (back.difference, back.low, back.high) == (-there.difference, -there.high, -there.low)
    with pytest.raises(KeyError):
        decisions.between("loss", "good", "plain0")


# attribution ---------------------------------------------------------------------------------------------------------


def judged(gap, seeds=8):
    return decide(study({"arm": gap}, seeds=seeds), [], [loss("arm", "ref")]).verdicts[loss("arm", "ref")]


def test_a_part_contributes_where_every_control_is_beaten_and_confirmed():
    better, even, worse = judged(0.1), judged(0.0), judged(-0.1)
    assert attribution({"frozen": better, "bias": better}, ["frozen", "bias"]).contributes
    failed = attribution({"frozen": better, "bias": even, "zero": worse}, ["frozen", "bias", "zero"])
    assert (failed.contributes, failed.not_beaten) == (False, ("bias", "zero"))
    incomplete = attribution({"frozen": better}, ["frozen", "bias"])
    assert (incomplete.contributes, incomplete.missing) == (False, ("bias",))
    with pytest.raises(InputError, match="controls"):
        attribution({}, [])


def test_three_seeds_beat_a_control_and_prove_no_contribution():
    found = attribution({"frozen": judged(1.0, seeds=3)}, ["frozen"])
    assert found == Attribution(False, (), ("frozen",), (), seeds=3, seeds_needed=6)


def test_the_strictest_level_says_how_many_seeds_confirm():
    loose = judged(1.0, seeds=3)
    strict = replace(loose, level=0.05 / 4)
    found = attribution({"frozen": loose, "bias": strict}, ["frozen", "bias"])
    assert found.seeds_needed == seeds_to_confirm(0.05 / 4) > seeds_to_confirm(0.05)


def test_two_seeds_judge_no_control_either_way():
    found = attribution({"frozen": judged(1.0, seeds=2)}, ["frozen"])
    assert found == Attribution(False, (), (), (), seeds=2, seeds_needed=6)


def test_a_sentence_counts_a_control_as_beaten_exactly_where_the_table_says_better():
    """Planned as well, the comparison stands at Holm's level, and the attribution follows the same word."""
    panels, arm = near(), loss("arm", "ref")
    planned = [arm, *(loss(f"plain{i}", f"plain{i + 1}") for i in range(9))]
    for family, beaten in (([], True), (planned, False)):
        verdict = decide(panels, family, [arm]).verdicts[arm]
        assert (verdict.word == "better") == beaten
        assert attribution({"ref": verdict}, ["ref"]).not_beaten == (() if beaten else ("ref",))


# simulation ----------------------------------------------------------------------------------------------------------


def test_simulated_studies_meet_the_rates_that_the_benchmark_prints():
    """A small run of `python -m tests.benchmarks.decisions`; its page has the precise numbers."""
    found = rates(MIXES[0], seeds=8, references=40, trials=80, start=1)
    assert found["wrong"] <= 0.12 and found["wrongly comparable"] <= 0.12
    assert found["covered, plain"] >= 0.9 and found["covered, circuit"] >= 0.9
    assert found["detectable, plain"] >= 0.65
    assert found["found, 0.05"] >= 0.9 > found["found before, 0.05"]
    assert found["contributes, far"] == 1.0
    assert max(found["wrongly contributes, frozen"], found["wrongly contributes, plain4"]) <= 0.15
