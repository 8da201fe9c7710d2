"""Measures refuse what is no measurement; shares of pairs are plain counts; the room loads nothing heavy."""

import subprocess
import sys
import time

import numpy as np
import pytest

from ketune import metrics, statistics
from ketune.ground.errors import InputError
from ketune.statistics import Contrast, Panel


def test_the_scores_of_runs_are_averaged_and_not_those_of_prompts():
    nats, tokens = [[1.0, 9.0], [2.0, 2.0]], [[1.0, 3.0], [1.0, 1.0]]
    loss = statistics.Measure(np.stack([nats, tokens], axis=-1), metrics.ratio, lower_is_better=True)
    assert loss.by_seed() == pytest.approx([10 / 4, 2.0])
    assert loss.by_prompt() == pytest.approx(np.array([[1.0, 3.0], [2.0, 2.0]]))
    assert Panel({"a": loss}).estimate("a").value == pytest.approx((2.5 + 2.0) / 2)


def test_probability_of_improvement_counts_ties_as_half_and_knows_losses():
    first = np.array([[1.0, 2.0, 3.0, 4.0]] * 3)
    second = np.array([[1.0, 1.0, 1.0, 5.0]] * 3)
    for lower, share in ((False, 2.5 / 4), (True, 1.5 / 4)):
        pair = [statistics.mean(values, lower_is_better=lower) for values in (first, second)]
        assert statistics.probability_of_improvement(*pair) == pytest.approx(share)


def test_seeds_won_and_their_agreement_are_counted_over_runs():
    first = statistics.mean([[1.0], [2.0], [4.0], [3.0]], lower_is_better=True)
    second = statistics.mean([[2.0], [2.0], [3.0], [9.0]], lower_is_better=True)
    constant = statistics.mean([[0.0]] * 4, lower_is_better=True)
    panel = Panel({"a": first, "b": second, "base": constant})
    assert statistics.seeds_won(panel, "a", "b") == pytest.approx(2.5 / 4)
    assert statistics.agreement(panel, "a", "b") == pytest.approx(np.corrcoef([1, 2, 4, 3], [2, 2, 3, 9])[0, 1])
    assert statistics.agreement(panel, "a", "base") is None
    few = Panel({"a": statistics.mean([[1.0], [2.0]]), "b": statistics.mean([[1.0], [2.0]])})
    assert statistics.agreement(few, "a", "b") is None


def test_one_seed_covers_its_own_run_only():
    """Given the run, references alone vary: the interval holds that run's truth, and says that seeds are missing."""
    rng, hits, method_hits, trials = np.random.default_rng(16), 0, 0, 1000
    for _ in range(trials):
        run = 0.3 * rng.standard_normal()
        scores = run + rng.standard_normal((1, 100))
        estimate = Panel({"a": statistics.mean(scores)}).estimate("a")
        found = estimate.interval(0.95)
        assert estimate.seeds_missing
        hits += found.low <= run <= found.high
        method_hits += found.low <= 0 <= found.high
    assert 0.93 <= hits / trials <= 0.97
    assert method_hits / trials < 0.7


def test_where_rows_are_all_there_are_seeds_alone_are_random():
    """The steps of training are no sample of other steps."""
    steps = np.linspace(3.0, 1.0, 50) + np.array([[0.0], [0.1], [0.2], [0.3]])
    for sampled, wider in ((False, False), (True, True)):
        found = Panel({"a": statistics.mean(steps)}, sampled=sampled).estimate("a")
        of_seeds = np.std([0.0, 0.1, 0.2, 0.3], ddof=1) / 2
        assert (found.standard_error > 1.01 * of_seeds) == wider
    alone = Panel({"a": statistics.mean(steps[:1])}, sampled=False).estimate("a")
    assert alone.reach(0.05) == np.inf


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: statistics.mean([[1.0, float("nan")]]), r"nan at \(0, 1\)"),
        (lambda: statistics.mean([[1.0, float("inf")]]), "inf"),
        (lambda: statistics.mean([1.0, 2.0]), "shape"),
        (lambda: statistics.mean(np.zeros((3, 0))), "at least one"),
        (lambda: statistics.mean([[1.0, 2.0], [1.0]]), "scores"),
        (lambda: statistics.Measure([[1, 2, 3]], np.sum, False), "shape"),
    ],
)
def test_wrong_input_is_named(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_all_verdicts_of_a_large_study_take_seconds():
    """17 arms, 8 seeds and 400 references: every pair on a loss, and on BLEU with its ten sums an answer."""
    rng, arms = np.random.default_rng(0), [f"arm{i}" for i in range(17)]
    bleu = metrics.named("bleu")
    counts = rng.integers(4, 9, (8, 400, 1)) + np.array([8, 8, 3, 2, 1, 0, 8, 7, 6, 5])
    panels = {
        "loss": Panel({arm: statistics.mean(rng.standard_normal((8, 400))) for arm in arms}),
        "bleu": Panel({
            arm: statistics.Measure(counts + rng.integers(0, 2, counts.shape), bleu.total, False) for arm in arms
        }),
    }  # fmt: skip
    every = [Contrast(key, a, b) for key in panels for i, a in enumerate(arms) for b in arms[:i]]
    start = time.process_time()
    found = statistics.decide(panels, [], exploratory=every)
    assert len(found.verdicts) == 272
    assert time.process_time() - start < 5


def test_statistics_load_without_heavy_libraries():
    code = "import sys, ketune.statistics; print([m for m in ('torch', 'scipy.stats', 'pandas', 'sacrebleu') if m in sys.modules])"  # fmt: skip  # noqa: E501
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
