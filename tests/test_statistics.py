"""Intervals cover what they claim, tests agree with sacrebleu, and no word is kinder than its numbers."""

import itertools
import subprocess
import sys
import time

import numpy as np
import pytest
from sacrebleu.metrics import BLEU
from sacrebleu.significance import PairedTest

from ketune import metrics, statistics
from ketune.ground.errors import InputError
from ketune.statistics import Resampling

RESAMPLING = Resampling(resamples=10_000, confidence=0.95, generator_seed=0)
WORDS = "the a cat dog sat ran on under mat log and then it was very old but quick red house by river".split()


def crossed(rng, seeds, prompts, seed_deviation, prompt_deviation, rest_deviation, prompt_values=None):
    """Scores (S, P) = seed + prompt + rest around 0, and the seeds' part (S, 1)."""
    by_seed = seed_deviation * rng.standard_normal((seeds, 1))
    by_prompt = prompt_deviation * (rng.standard_normal(prompts) if prompt_values is None else prompt_values)
    return by_seed + by_prompt + rest_deviation * rng.standard_normal((seeds, prompts)), by_seed


def coverage(make, truth=0.0, trials=1500):
    """Share of 95 % intervals that hold the truth."""
    hits = 0
    for trial in range(trials):
        found = statistics.interval(make(), Resampling(resamples=1000, confidence=0.95, generator_seed=trial))
        hits += found.low <= truth <= found.high
    return hits / trials


def sentences(seed, prompts=60, noise=0.5):
    """References and the outputs of two systems that copy them with errors; the second errs more often."""
    rng = np.random.default_rng(seed)
    references = [[str(w) for w in rng.choice(WORDS, rng.integers(3, 20))] for _ in range(prompts)]

    def copy(rate):
        return [" ".join(str(rng.choice(WORDS)) if rng.random() < rate else w for w in words) for words in references]

    first, second = copy(noise - 0.03), copy(noise)
    return [" ".join(words) for words in references], first, second


def sufficient(outputs, references):
    """BLEU's sufficient statistics (P, 10)."""
    rows = []
    for output, reference in zip(outputs, references, strict=True):
        alone = BLEU().corpus_score([output], [[reference]])
        rows.append([alone.sys_len, alone.ref_len, *alone.counts, *alone.totals])
    return rows


def bleu(runs):
    """BLEU of runs, from their sufficient statistics (S, P, 10)."""
    metric = metrics.named("bleu")
    return statistics.Measure(runs, metric.total, metric.alone, metric.lower_is_better)


def shifted_pair(shift, seeds=5, prompts=100, seed_deviation=0.02, lower_is_better=False, rng_seed=3):
    """Two methods whose true difference is `shift`."""
    rng = np.random.default_rng(rng_seed)
    shared = rng.standard_normal(prompts)
    first, second = (crossed(rng, seeds, prompts, seed_deviation, 0.0, 0.2)[0] + shared for _ in range(2))
    make = lambda values: statistics.mean(values, lower_is_better=lower_is_better)  # noqa: E731
    return make(first + shift), make(second)


# coverage ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mix", [(0, 1, 1), (0.1, 1, 1), (0.2, 1, 1), (1, 1, 1), (0, 1, 0.1), (0, 0, 1)], ids=str)
def test_five_seeds_and_a_hundred_prompts_cover_95_percent(mix):
    rng = np.random.default_rng(11)
    assert 0.93 <= coverage(lambda: statistics.mean(crossed(rng, 5, 100, *mix)[0])) <= 0.97


@pytest.mark.parametrize("mix", [(0, 1, 1), (0.2, 1, 1), (1, 1, 1)], ids=str)
def test_three_seeds_are_never_too_narrow_and_sometimes_too_wide(mix):
    rng = np.random.default_rng(12)
    assert 0.935 <= coverage(lambda: statistics.mean(crossed(rng, 3, 100, *mix)[0])) <= 0.985


def test_resampling_five_seeds_plainly_would_be_too_narrow():
    """The reason for the departure: where seeds dominate, the plain crossed bootstrap misses far more than 5 %."""
    rng, hits, trials = np.random.default_rng(13), 0, 400
    for _ in range(trials):
        scores = crossed(rng, 5, 100, 1, 1, 1)[0]
        prompts = rng.multinomial(100, np.full(100, 0.01), size=1000) / 100
        seeds = rng.multinomial(5, np.full(5, 0.2), size=1000) / 5
        low, high = np.quantile(((prompts @ scores.T) * seeds).sum(axis=1), [0.025, 0.975])
        hits += low <= 0 <= high
    assert hits / trials < 0.91


def test_skewed_prompts_cost_some_coverage():
    rng = np.random.default_rng(14)
    centred = lambda: rng.lognormal(size=100) - np.exp(0.5)  # noqa: E731
    found = coverage(lambda: statistics.mean(crossed(rng, 5, 100, 0, 1, 0.5, centred())[0]))
    assert 0.91 <= found <= 0.96


def test_a_ratio_of_sums_covers_its_truth():
    rng = np.random.default_rng(15)

    def loss():
        tokens = np.broadcast_to(np.ceil(rng.lognormal(3.5, 0.7, 100)), (5, 100))
        return statistics.ratio((2.0 + crossed(rng, 5, 100, 0.02, 0.6, 0.2)[0]) * tokens, tokens, lower_is_better=True)

    assert 0.93 <= coverage(loss, truth=2.0) <= 0.97


def test_one_seed_covers_its_own_run_only():
    """Given the run, prompts alone vary: the interval holds that run's truth, and says that seeds are missing."""
    rng, hits, method_hits, trials = np.random.default_rng(16), 0, 0, 1000
    for trial in range(trials):
        scores, by_seed = crossed(rng, 1, 100, 0.3, 1, 0.2)
        found = statistics.interval(statistics.mean(scores), Resampling(resamples=1000, confidence=0.95, generator_seed=trial))  # fmt: skip  # noqa: E501
        assert found.seeds_missing
        hits += found.low <= by_seed.item() <= found.high
        method_hits += found.low <= 0 <= found.high
    assert 0.93 <= hits / trials <= 0.97
    assert method_hits / trials < 0.7


def test_a_difference_excludes_zero_by_chance_no_more_often_than_claimed():
    rng, false, trials = np.random.default_rng(17), 0, 800
    for trial in range(trials):
        first, second = (statistics.mean(crossed(rng, 5, 100, 0.2, 1, 1)[0]) for _ in range(2))
        found = statistics.verdict(first, second, Resampling(resamples=1000, confidence=0.95, generator_seed=trial))
        false += found.word != "not distinguishable"
    assert false / trials <= 0.065


def test_a_difference_of_the_detectable_size_is_usually_found():
    rng, found, trials = np.random.default_rng(18), 0, 400

    def pair(shift):
        shared = rng.standard_normal(100)
        return [statistics.mean(crossed(rng, 5, 100, 0.05, 0, 1)[0] + shared + s) for s in (shift, 0)]

    resampling = Resampling(resamples=1000, confidence=0.95, generator_seed=0)
    size = np.median([statistics.detectable(*pair(0), resampling) for _ in range(200)])
    for _ in range(trials):
        found += statistics.difference(*pair(size), resampling).low > 0
    assert 0.72 <= found / trials <= 0.9


# BLEU and sacrebleu --------------------------------------------------------------------------------------------------


def test_bleu_averages_runs_and_not_prompts():
    references, first, second = sentences(5)
    measure = bleu([sufficient(first, references), sufficient(second, references)])
    expected = np.mean([BLEU().corpus_score(outputs, [references]).score for outputs in (first, second)])
    assert statistics.interval(measure, RESAMPLING).value == pytest.approx(expected)
    assert abs(measure.by_prompt().mean() - expected) > 0.5


@pytest.mark.parametrize("seed", [0, 3, 10])
@pytest.mark.parametrize(
    ("kind", "ours"), [("ar", statistics.approximate_randomisation), ("bs", statistics.paired_bootstrap)]
)
def test_p_values_agree_with_sacrebleus(kind, ours, seed):
    references, first, second = sentences(seed)
    trials = 4000
    test = PairedTest([("a", first), ("b", second)], {"BLEU": BLEU()}, [references], kind, n_samples=trials)
    theirs = test()[1]["BLEU"][1].p_value
    measures = [bleu([sufficient(outputs, references)]) for outputs in (first, second)]
    p = ours(*measures, RESAMPLING)
    error = np.sqrt(max(theirs * (1 - theirs), 1e-3) * (1 / trials + 1 / RESAMPLING.resamples))
    assert abs(p - theirs) < 4 * error
    assert 0.0005 < theirs < 0.95  # else agreement would show nothing


def test_intervals_agree_with_sacrebleus():
    references, outputs, _ = sentences(2)
    test = PairedTest([("a", outputs), ("b", outputs)], {"BLEU": BLEU()}, [references], "bs", n_samples=4000)
    theirs = test()[1]["BLEU"][0]
    ours = statistics.interval(bleu([sufficient(outputs, references)]), RESAMPLING)
    assert (ours.high - ours.low) / 2 == pytest.approx(theirs.ci, rel=0.08)  # ours is widened by about 2 % at 60


def test_randomisation_of_means_is_the_exact_sign_flip_test():
    first = np.array([[3.0, 1.0, 2.5, 4.0, 2.0, 5.0, 1.0, 2.0]])
    second = np.array([[1.0, 1.5, 2.0, 1.0, 2.5, 2.0, 0.0, 1.0]])
    gap = (first - second)[0]
    flips = np.array(list(itertools.product([1, -1], repeat=8)))
    exact = np.mean(np.abs(flips @ gap) >= abs(gap.sum()) - 1e-9)
    p = statistics.approximate_randomisation(statistics.mean(first), statistics.mean(second), RESAMPLING)
    assert p == pytest.approx(exact, abs=0.01)


# identical systems and ties ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seeds", [1, 2, 3, 5])
def test_identical_systems_are_never_better_and_have_p_1(seeds):
    values = np.random.default_rng(0).standard_normal((seeds, 30))
    references, outputs, _ = sentences(1)
    row = sufficient(outputs, references)
    for measure in (statistics.mean(values), statistics.ratio(values, values**2 + 1), bleu([row] * seeds)):
        found = statistics.verdict(measure, measure, RESAMPLING)
        assert (found.word, found.p, found.p_prompts, found.difference) == ("not distinguishable", 1.0, 1.0, 0.0)
        assert (found.low, found.high, found.seeds_missing) == (0.0, 0.0, seeds < 3)
        assert statistics.verdict(measure, measure, RESAMPLING, margin=0.1).word == "comparable"
        assert statistics.paired_bootstrap(measure, measure, RESAMPLING) == 1.0
        assert statistics.probability_of_improvement(measure, measure, RESAMPLING).value == 0.5


def test_the_same_scores_on_other_prompts_are_not_better():
    values = np.random.default_rng(0).standard_normal((3, 40))
    found = statistics.verdict(statistics.mean(values), statistics.mean(values[:, ::-1]), RESAMPLING)
    assert found.word == "not distinguishable"
    assert found.p == 1.0


def test_probability_of_improvement_counts_ties_as_half_and_knows_losses():
    first = np.array([[1.0, 2.0, 3.0, 4.0]] * 3)
    second = np.array([[1.0, 1.0, 1.0, 5.0]] * 3)
    score = lambda lower: statistics.probability_of_improvement(  # noqa: E731
        statistics.mean(first, lower_is_better=lower), statistics.mean(second, lower_is_better=lower), RESAMPLING
    )
    assert score(False).value == pytest.approx(2.5 / 4)
    assert score(True).value == pytest.approx(1.5 / 4)
    assert 0 <= score(False).low <= score(False).value <= score(False).high <= 1


# corrections and words -----------------------------------------------------------------------------------------------


def test_holm_against_hand_computed_numbers():
    # sorted 0.005·4, 0.01·3, 0.03·2, 0.04·1 = 0.02, 0.03, 0.06, 0.04 → running maximum
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert statistics.holm([0.5, 0.6]) == pytest.approx((1.0, 1.0))
    assert statistics.holm([0.2]) == (0.2,)
    assert statistics.holm([]) == ()


@pytest.mark.parametrize("bad", [[0.1, float("nan")], [1.2], [-0.1]])
def test_holm_refuses_what_is_no_probability(bad):
    with pytest.raises(InputError, match="p-values"):
        statistics.holm(bad)


def test_words_of_a_family_follow_direction_and_correction():
    family = {
        "up": shifted_pair(0.3),
        "down": shifted_pair(-0.3),
        "loss_up": shifted_pair(0.3, lower_is_better=True),
        "loss_down": shifted_pair(-0.3, lower_is_better=True),
        "none": shifted_pair(0.0),
    }
    found = statistics.verdicts(family, RESAMPLING)
    assert {key: one.word for key, one in found.items()} == {
        "up": "better",
        "down": "worse",
        "loss_up": "worse",
        "loss_down": "better",
        "none": "not distinguishable",
    }
    assert [one.adjusted_p for one in found.values()] == list(statistics.holm([one.p for one in found.values()]))
    assert found["loss_down"].difference < 0  # the metric's own sign stays
    assert found["up"].low < 0.3 < found["up"].high
    assert (found["up"].seeds, found["up"].prompts, found["up"].seeds_missing) == (5, 100, False)


def test_a_larger_family_can_take_a_word_away():
    scan = (shifted_pair(shift) for shift in np.arange(0.02, 0.2, 0.004))
    near = next(p for p in scan if 0.01 < statistics.verdict(*p, RESAMPLING).p < 0.04)
    alone = statistics.verdict(*near, RESAMPLING)
    crowd = statistics.verdicts({i: near for i in range(20)}, RESAMPLING)[0]
    assert alone.word == "better"
    assert crowd.word == "not distinguishable"
    assert crowd.adjusted_p == pytest.approx(min(1.0, 20 * alone.p))
    assert (crowd.low, crowd.high) == (alone.low, alone.high)


def test_seeds_that_disagree_veto_what_prompts_alone_would_call_better():
    """Every prompt moves with its run, so swapping prompts finds a sure difference; three such runs do not."""
    rng = np.random.default_rng(4)
    other = rng.standard_normal((3, 100))
    method = other + np.array([[0.9], [0.2], [-0.2]]) + 0.05 * rng.standard_normal((3, 100))
    found = statistics.verdict(statistics.mean(method), statistics.mean(other), RESAMPLING)
    assert found.p_prompts < 0.001
    assert found.p > 0.2
    assert found.word == "not distinguishable"
    alone = statistics.verdict(statistics.mean(method[:1]), statistics.mean(other[:1]), RESAMPLING)
    assert (alone.word, alone.seeds_missing) == ("better", True)


def test_equivalence_needs_the_interval_within_the_margin():
    pair = shifted_pair(0.0)
    wide, narrow = (statistics.equivalence(*pair, margin, RESAMPLING) for margin in (0.2, 0.005))
    assert wide.equivalent and wide.p < 0.05
    assert not narrow.equivalent and narrow.p > 0.05
    full = statistics.difference(*pair, RESAMPLING)
    assert full.low < wide.low < wide.high < full.high  # 90 % within 95 %
    assert statistics.verdict(*pair, RESAMPLING, margin=0.2).word == "comparable"
    assert statistics.verdict(*pair, RESAMPLING, margin=0.005).word == "not distinguishable"


def test_better_by_less_than_the_margin_is_better_and_says_so():
    found = statistics.verdict(*shifted_pair(0.2), RESAMPLING, margin=0.5)
    assert (found.word, found.within_margin) == ("better", True)


@pytest.mark.parametrize("margin", [0.0, -1.0, float("nan"), float("inf")])
def test_a_margin_must_be_above_zero(margin):
    with pytest.raises(InputError, match=r"report\.margin"):
        statistics.equivalence(*shifted_pair(0.0), margin, RESAMPLING)


def test_attribution_names_the_controls_that_were_not_beaten():
    better = statistics.verdict(*shifted_pair(-0.3, lower_is_better=True), RESAMPLING)
    even = statistics.verdict(*shifted_pair(0.0, lower_is_better=True), RESAMPLING)
    worse = statistics.verdict(*shifted_pair(0.3, lower_is_better=True), RESAMPLING)
    lone = statistics.verdict(*shifted_pair(-0.3, seeds=2, lower_is_better=True), RESAMPLING)
    judge = statistics.attribution
    assert judge({"frozen": better, "bias": better}, ["frozen", "bias"]).contributes
    failed = judge({"frozen": better, "bias": even, "zero": worse}, ["frozen", "bias", "zero"])
    assert (failed.contributes, failed.not_beaten) == (False, ("bias", "zero"))
    incomplete = judge({"frozen": better}, ["frozen", "bias"])
    assert (incomplete.contributes, incomplete.missing) == (False, ("bias",))
    few = judge({"frozen": lone}, ["frozen"])
    assert (few.contributes, few.not_beaten, few.seeds_missing) == (False, (), True)
    with pytest.raises(InputError, match="controls"):
        judge({}, [])


# degenerate and wrong input ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seeds", [1, 3, 5])
def test_one_prompt_proves_nothing(seeds):
    found = statistics.verdict(statistics.mean([[5.0]] * seeds), statistics.mean([[1.0]] * seeds), RESAMPLING, margin=1)
    assert (found.word, found.difference, found.p) == ("not distinguishable", 4.0, 1.0)
    assert (found.low, found.high, found.detectable) == (-np.inf, np.inf, np.inf)


def test_two_prompts_are_nearly_nothing():
    """Two prompts have the wide tails of one degree of freedom."""
    pair = statistics.mean([[1.0, 2.0]] * 3), statistics.mean([[0.5, 1.0]] * 3)
    found = statistics.verdict(*pair, RESAMPLING)
    assert found.word == "not distinguishable"
    assert found.low < 0 < found.high


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: statistics.mean([[1.0, float("nan")]]), r"nan at \(0, 1\)"),
        (lambda: statistics.mean([[1.0, float("inf")]]), "inf"),
        (lambda: statistics.mean([1.0, 2.0]), "shape"),
        (lambda: statistics.mean(np.zeros((3, 0))), "at least one"),
        (lambda: statistics.mean([[1.0, 2.0], [1.0]]), "scores"),
        (lambda: statistics.ratio([[1.0, 2.0]], [[1.0]]), "differ in shape"),
        (lambda: statistics.ratio([[1.0, 2.0]], [[1.0, 0.0]]), "above 0"),
        (lambda: bleu([[1, 2, 3]]), "shape"),
        (lambda: bleu([[[1, float("nan")]]]), r"nan at \(0, 0, 1\)"),
        (lambda: Resampling(resamples=5, confidence=0.95, generator_seed=0), "report.resamples"),
        (lambda: Resampling(resamples=1000, confidence=95, generator_seed=0), "report.confidence"),
        (lambda: statistics.detectable(*shifted_pair(0.0), RESAMPLING, power=0.2), "power"),
    ],
)
def test_wrong_input_is_named(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(
    "compare",
    [
        statistics.difference,
        statistics.verdict,
        statistics.approximate_randomisation,
        statistics.paired_bootstrap,
        statistics.probability_of_improvement,
    ],
)
def test_methods_that_do_not_fit_are_refused(compare):
    five, three = (statistics.mean(np.zeros((seeds, 4))) for seeds in (5, 3))
    loss = statistics.mean(np.zeros((5, 4)), lower_is_better=True)
    with pytest.raises(InputError, match="same seeds and prompts"):
        compare(five, three, RESAMPLING)
    with pytest.raises(InputError, match="two different metrics"):
        compare(five, loss, RESAMPLING)


# reproducible, light, quick ------------------------------------------------------------------------------------------


def test_same_input_same_output_and_the_seed_matters():
    pair = shifted_pair(0.1)
    other = Resampling(resamples=10_000, confidence=0.95, generator_seed=1)
    assert statistics.verdict(*pair, RESAMPLING) == statistics.verdict(*pair, RESAMPLING)
    assert statistics.difference(*pair, RESAMPLING) != statistics.difference(*pair, other)


def test_more_prompts_than_fit_in_one_block_give_the_same_kind_of_interval(monkeypatch):
    pair = shifted_pair(0.1)
    whole = statistics.difference(*pair, RESAMPLING)
    monkeypatch.setattr("ketune.statistics.intervals._CELLS", 12_345)
    blocks = statistics.difference(*pair, RESAMPLING)
    assert (blocks.low, blocks.high) == pytest.approx((whole.low, whole.high), abs=0.01)
    assert statistics.approximate_randomisation(*pair, RESAMPLING) < 0.01


def test_a_verdict_takes_well_under_a_second_also_for_bleu():
    references, first, second = sentences(0, prompts=200)
    rows = [sufficient(outputs, references) for outputs in (first, second)]
    rng = np.random.default_rng(0)
    means = [statistics.mean(rng.standard_normal((5, 200))) for _ in range(2)]
    for measures, seconds in ((means, 1.0), ([bleu([row] * 5) for row in rows], 4.0)):
        start = time.perf_counter()
        statistics.verdict(*measures, RESAMPLING)
        assert time.perf_counter() - start < seconds


def test_statistics_load_without_heavy_libraries():
    code = "import sys, ketune.statistics; print([m for m in ('torch', 'scipy.stats', 'pandas', 'sacrebleu') if m in sys.modules])"  # fmt: skip  # noqa: E501
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
