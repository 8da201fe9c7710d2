"""Variances of crossed seeds and references agree with other programs, and borrow with care."""

import itertools

import numpy as np
import pytest
from pandas import DataFrame
from sacrebleu.metrics import BLEU
from sacrebleu.significance import PairedTest

from ketune import metrics, statistics
from ketune.ground.errors import InputError
from ketune.statistics.crossed import crossed, influence, satterthwaite
from ketune.statistics.estimates import Estimate, seeds_to_confirm, sign_flip_p, standard_errors_needed
from ketune.statistics.moderation import moderated, prior
from ketune.statistics.panel import Panel

WORDS = "the a cat dog sat ran on under mat log and then it was very old but quick red house by river".split()


def sentences(seed, prompts=60, noise=0.5):
    """References and the outputs of two systems that copy them with errors; the second errs more often."""
    rng = np.random.default_rng(seed)
    references = [[str(w) for w in rng.choice(WORDS, rng.integers(3, 20))] for _ in range(prompts)]

    def copy(rate):
        return [" ".join(str(rng.choice(WORDS)) if rng.random() < rate else w for w in words) for words in references]

    first, second = copy(noise - 0.03), copy(noise)
    return [" ".join(words) for words in references], first, second


def bleu(outputs, references):
    """BLEU of one run, from its sufficient statistics (1, P, 10)."""
    metric = metrics.named("bleu")
    rows = []
    for output, reference in zip(outputs, references, strict=True):
        alone = BLEU().corpus_score([output], [[reference]])
        rows.append([alone.sys_len, alone.ref_len, *alone.counts, *alone.totals])
    return statistics.Measure([rows], metric.total, metric.lower_is_better)


def table(rng, seeds, references, seed=0.5, reference=1.0, rest=0.3):
    """Values (S, P) = seed + reference + rest around 0."""
    parts = seed * rng.standard_normal((seeds, 1)) + reference * rng.standard_normal(references)
    return parts + rest * rng.standard_normal((seeds, references))


# against other programs ----------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")  # statsmodels' own, of pandas and of its optimiser
@pytest.mark.parametrize(("seeds", "references"), [(4, 30), (8, 20)])
def test_the_standard_error_is_that_of_a_crossed_mixed_model(seeds, references):
    """statsmodels, restricted maximum likelihood, seeds and references as crossed random effects."""
    from statsmodels.regression.mixed_linear_model import MixedLM

    values = table(np.random.default_rng(seeds), seeds, references)
    frame = DataFrame({
        "value": values.ravel(),
        "seed": np.repeat(np.arange(seeds), references),
        "reference": np.tile(np.arange(references), seeds),
        "all": 1,
    })  # fmt: skip
    parts = {"seed": "0 + C(seed)", "reference": "0 + C(reference)"}
    fitted = MixedLM.from_formula("value ~ 1", frame, groups="all", vc_formula=parts).fit(reml=True)
    found = Panel({"arm": statistics.mean(values)}).estimate("arm")
    assert found.value == pytest.approx(fitted.params["Intercept"], abs=1e-9)
    assert found.standard_error == pytest.approx(fitted.bse["Intercept"], rel=2e-3)
    components = crossed(values)
    names = dict(zip(fitted.model.exog_vc.names, fitted.vcomp, strict=True))
    assert (components.between_prompts - components.rest) / seeds == pytest.approx(names["reference"], rel=5e-3)
    assert components.rest == pytest.approx(fitted.scale, rel=5e-3)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_bleu_of_one_run_is_tested_as_sacrebleu_tests_it(seed):
    """Our interval of a BLEU difference over references, from jackknife values, beside sacrebleu's paired tests."""
    references, first, second = sentences(seed)
    systems = [("a", first), ("b", second)]
    theirs = PairedTest(systems, {"BLEU": BLEU()}, [references], "ar", n_samples=4000)()[1]["BLEU"][1].p_value
    spread = PairedTest(systems, {"BLEU": BLEU()}, [references], "bs", n_samples=4000)()[1]["BLEU"][0].ci
    measures = {name: bleu(outputs, references) for name, outputs in systems}
    ours = Panel(measures).estimate("a", "b")
    assert ours.value == pytest.approx(BLEU().corpus_score(first, [references]).score - BLEU().corpus_score(second, [references]).score)  # fmt: skip  # noqa: E501
    assert ours.p_value() == pytest.approx(theirs, abs=0.03)
    assert Panel(measures).estimate("a").reach(0.05) == pytest.approx(spread, rel=0.12)


# what the variance is made of ----------------------------------------------------------------------------------------


def test_jackknife_values_are_the_scores_of_a_mean_and_the_weighted_ones_of_a_ratio():
    rng = np.random.default_rng(0)
    values, tokens = rng.standard_normal((3, 50)), np.broadcast_to(rng.integers(1, 60, 50), (3, 50))
    assert influence(statistics.mean(values)) == pytest.approx(values)
    loss = statistics.Measure(np.stack([values * tokens, tokens], axis=-1), metrics.ratio, lower_is_better=True)
    linear = loss.by_seed()[:, None] + tokens / tokens.mean() * (values - loss.by_seed()[:, None])
    assert influence(loss).mean(axis=1) == pytest.approx(loss.by_seed())
    assert influence(loss) == pytest.approx(linear, abs=0.15)
    assert influence(loss).var(axis=1) == pytest.approx(linear.var(axis=1), rel=0.1)


def test_satterthwaite_against_hand_computed_numbers():
    assert satterthwaite([(4.0, 2.0), (1.0, 10.0)]) == pytest.approx((5.0, 25 / 8.1))
    assert satterthwaite([(4.0, 2.0)]) == pytest.approx((4.0, 2.0))
    assert satterthwaite([(0.0, 2.0)])[0] == 0


def test_the_prior_finds_the_scatter_that_made_the_variances():
    rng = np.random.default_rng(1)
    scattered = 0.04 * 6 / rng.chisquare(6, 5000) * rng.chisquare(4, 5000) / 4
    found = prior(scattered, 4, most=1000)
    assert (found.degrees, found.variance) == pytest.approx((6, 0.04), rel=0.1)
    alike = prior(0.04 * rng.chisquare(4, 5000) / 4, 4, most=60)
    assert (alike.degrees, alike.variance) == pytest.approx((60, 0.04), rel=0.05)
    assert prior([0.1, 0.2, 0.0], 4, most=8) is None


def test_a_variance_is_drawn_to_the_others_but_not_below_its_own():
    lent = prior([0.9, 1.0, 1.1, 1.0, 0.95, 1.05], 2, most=10)
    assert (lent.variance, lent.degrees) == (pytest.approx(1.0), 10)
    low, high = moderated(0.1, 2, lent), moderated(20.0, 2, lent)
    assert low.variance == pytest.approx((10 * 1.0 + 2 * 0.1) / 12) and low.degrees == 10
    assert high.variance == 20.0
    assert moderated(0.1, 2, None).variance == 0.1
    assert low.scatter == 6 and moderated(0.1, 4, lent).scatter == 10, "three times its own, or all that there is"


# panels --------------------------------------------------------------------------------------------------------------


def panel(rng, deviations, seeds=3, references=50):
    """Arms named by their number, each with its own deviation over seeds."""
    rows = {str(i): table(rng, seeds, references, deviation, 0.0, 0.001) for i, deviation in enumerate(deviations)}
    return Panel({arm: statistics.mean(values, lower_is_better=True) for arm, values in rows.items()})


def test_pairs_know_no_more_than_their_arms_have_degrees_of_freedom():
    found = panel(np.random.default_rng(0), [0.01] * 5, seeds=8)._priors
    assert (found[1].most, found[2].most) == (5 * 7, 4 * 7)


def test_arms_apart_neither_lend_nor_borrow():
    rng = np.random.default_rng(2)
    plain = {str(i): statistics.mean(table(rng, 3, 50, 0.01, 0.0, 0.001)) for i in range(8)}
    circuits = [statistics.mean(table(rng, 3, 50, deviation, 0.0, 0.001)) for deviation in (0.001, 0.2)]
    narrow, wide = (Panel(plain | {"circuit": one}, apart={"circuit"}) for one in circuits)
    for found in (narrow, wide):
        own = found.estimate("circuit", "0")
        assert (own.borrowed, own.degrees) == (False, pytest.approx(2, rel=0.01))
    lent = narrow.estimate("1", "0")
    assert lent.borrowed and lent.degrees > 10
    assert lent.standard_error == wide.estimate("1", "0").standard_error
    assert narrow.margin == wide.margin
    mixed = Panel(plain | {"circuit": circuits[1]})
    assert mixed.estimate("1", "0").degrees < lent.degrees  # it shows the others that arms can differ


def test_arms_that_do_not_lend_change_no_word_on_the_others():
    rng = np.random.default_rng(2)
    plain = {str(i): statistics.mean(table(rng, 8, 50, 0.01, 0.0, 0.001)) for i in range(6)}
    wild = {
        f"wild{i}": statistics.mean(table(rng, 8, 50, deviation, 0.0)) for i, deviation in enumerate((0.001, 300.0))
    }
    few, many = Panel(plain), Panel(plain | wild, lending=list(plain))
    assert many.margin == few.margin != Panel(plain | wild).margin
    (a, b), joined = (one.estimate("0", "1") for one in (few, many)), many.estimate("0", "wild0")
    assert (a.standard_error, a.degrees) == (b.standard_error, b.degrees)
    assert joined.borrowed, "what does not lend borrows all the same"


def test_the_rounding_of_another_processor_is_no_variation():
    rng = np.random.default_rng(2)
    runs = {str(i): statistics.mean(2 + table(rng, 8, 50, 0.01, 0.0, 0.001)) for i in range(6)}
    untuned = np.full((8, 50), 2.0)
    found = [Panel(runs | {"base": statistics.mean(untuned * factor)}) for factor in (1, 1 + 1e-7 * np.eye(8)[:, :1])]
    assert found[0].margin == found[1].margin and "base" not in found[1].lenders
    for pair in (("0", "1"), ("0", "base")):
        errors = [one.estimate(*pair).standard_error for one in found]
        assert errors[0] == pytest.approx(errors[1], rel=1e-4)


def test_the_margin_is_what_two_runs_of_one_arm_differ_by():
    rng = np.random.default_rng(3)
    found = [panel(rng, [0.0125] * 12, seeds=5).margin for _ in range(40)]
    assert np.mean(found) == pytest.approx(np.sqrt(2) * 0.0125, rel=0.05)
    assert panel(rng, [0.0125] * 2).margin is None


def test_where_all_arms_share_their_draws_the_margin_is_how_pairs_scatter():
    rng = np.random.default_rng(3)
    found = []
    for _ in range(40):
        batches = 0.15 * rng.standard_normal((5, 50))  # how hard they are, which is no difference between arms
        runs = {str(i): batches + table(rng, 5, 50, 0.01, 0.0, 0.001) for i in range(8)}
        rows = {arm: statistics.mean(values, lower_is_better=True) for arm, values in runs.items()}
        found.append(Panel(rows, sampled=False).margin)
    assert np.mean(found) == pytest.approx(np.sqrt(2) * 0.01, rel=0.1)


@pytest.mark.parametrize("seeds", [1, 2])
def test_the_interval_of_few_seeds_covers_references_whatever_the_rest_does(seeds):
    for trial in range(20):
        values = np.random.default_rng(trial).standard_normal((seeds, 30))
        found = Panel({"arm": statistics.mean(values)}).estimate("arm")
        between = seeds * values.mean(axis=0).var(ddof=1)
        assert found.standard_error == pytest.approx(np.sqrt(between / (seeds * 30))) and found.degrees == 29


def test_fewer_than_three_seeds_find_nothing():
    rng = np.random.default_rng(3)
    assert panel(rng, [0.01] * 3, seeds=2).estimate("0", "1").detectable(0.05) == np.inf


def test_an_arm_that_runs_once_is_compared_with_each_seed():
    rng = np.random.default_rng(4)
    runs = {name: statistics.mean(table(rng, 5, 60, 0.02, 0.0)) for name in "abcd"}
    once = statistics.mean(np.zeros((1, 60)))
    often = statistics.mean(np.zeros((5, 60)))
    first, second = (Panel(runs | {"base": base}).estimate("a", "base") for base in (once, often))
    assert first.by_seed == pytest.approx(second.by_seed)
    assert (first.standard_error, first.degrees) == pytest.approx((second.standard_error, second.degrees))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({}, "no arm"),
        ({"a": statistics.mean(np.zeros((5, 4))), "b": statistics.mean(np.zeros((3, 4)))}, "b: .*same seeds"),
        ({"a": statistics.mean(np.zeros((3, 4))), "b": statistics.mean(np.zeros((3, 5)))}, "b: .*same seeds"),
        (
            {"a": statistics.mean(np.zeros((3, 4))), "b": statistics.mean(np.zeros((3, 4)), lower_is_better=True)},
            "b: another metric",
        ),
    ],
)
def test_arms_that_do_not_fit_are_named(broken, message):
    with pytest.raises(InputError, match=message):
        Panel(broken)


# estimates -----------------------------------------------------------------------------------------------------------


def estimate(by_seed, standard_error=1.0, degrees=np.inf):
    return Estimate(np.asarray(by_seed, dtype=float), 10, standard_error, degrees, degrees, borrowed=False)


def test_interval_p_value_and_equivalence_are_one_student_t():
    found = estimate([2.0, 2.0, 2.0], 1.0, 4.0)
    interval = found.interval(0.95)
    assert (interval.low, interval.high) == pytest.approx((2 - 2.776445, 2 + 2.776445), abs=1e-5)
    assert found.p_value() == pytest.approx(0.116117, abs=1e-5)
    at_its_p = found.interval(1 - found.p_value())
    assert at_its_p.low == pytest.approx(0, abs=1e-9)
    assert found.within(4.2, 0.05) and not found.within(4.1, 0.05)  # 2 + 2.132


def test_identical_outputs_have_p_1_and_no_interval():
    values = np.random.default_rng(0).standard_normal((3, 3, 40))
    arms = {arm: statistics.mean(rows) for arm, rows in zip("abc", values, strict=True)}
    found = Panel(arms | {"again": arms["a"]}).estimate("a", "again")  # the others lend it no variance
    assert (found.p_value(), found.p_seeds, found.reach(0.05)) == (1.0, 1.0, 0.0)


@pytest.mark.parametrize("seeds", [1, 3])
def test_one_reference_proves_nothing(seeds):
    arms = {"a": statistics.mean([[5.0]] * seeds), "b": statistics.mean([[1.0]] * seeds)}
    found = Panel(arms).estimate("a", "b")
    assert (found.p_value(), found.reach(0.05), found.detectable(0.05)) == (1.0, np.inf, np.inf)


def test_the_sign_flip_test_counts_all_patterns():
    gaps = np.array([0.3, -0.1, 0.25, 0.4, 0.2])
    flips = np.array(list(itertools.product([1, -1], repeat=5)))
    assert estimate(gaps).p_seeds == pytest.approx(np.mean(np.abs(flips @ gaps) >= abs(gaps.sum()) - 1e-12))
    assert estimate([0.1] * 8).p_seeds == 2**-7
    many, sums = 0.3 + np.random.default_rng(0).standard_normal(17), np.zeros(1)
    for gap in many:
        sums = np.add.outer(sums, [gap, -gap]).ravel()
    assert estimate(many).p_seeds == pytest.approx(np.mean(np.abs(sums) >= abs(many.sum())), abs=0.01)


@pytest.mark.parametrize("seeds", [1, 6, 16, 17])
def test_the_sign_flip_test_of_many_differences_is_that_of_each(seeds):
    drawn = 0.4 + np.random.default_rng(seeds).standard_normal((2, 40, seeds))
    drawn[0, :20] = np.round(drawn[0, :20])  # many patterns tie with the observed one
    found = sign_flip_p(drawn)
    assert found.shape == (2, 40)
    assert found == pytest.approx(np.array([[estimate(one).p_seeds for one in row] for row in drawn]), abs=0)
    assert found.min() >= 2.0 ** (1 - seeds)


def test_how_many_seeds_the_sign_flip_test_asks_for():
    assert [seeds_to_confirm(alpha) for alpha in (0.05, 0.05 / 4, 0.25)] == [6, 8, 3]
    for alpha in (0.05, 0.0125, 0.01):
        needed = seeds_to_confirm(alpha)
        assert estimate([1.0] * needed).p_seeds <= alpha < estimate([1.0] * (needed - 1)).p_seeds


def test_detectable_of_a_known_variance_is_the_textbooks():
    assert estimate([0.0] * 3, 0.5).detectable(0.05) == pytest.approx(0.5 * (1.959964 + 0.841621), abs=1e-4)
    assert standard_errors_needed(4, 4, 0.05) > standard_errors_needed(20, 20, 0.05) > 2.8
