"""The sample browser's data: every prompt once, every answer once, in an order that nobody has chosen.

Model output is hostile text: it travels as JSON that cannot end its script element, and the page sets it as text only.
"""

import json
from typing import Any

import numpy as np
from markupsafe import Markup

from ketune.ground import files, layout
from ketune.records.predictions import Answer
from ketune.report import panels
from ketune.report.results import Results

# Any fixed number will do; it must only not be picked after looking at the answers.
ORDER_SEED = 20260101


def samples(results: Results) -> dict[str, Any]:
    """Methods, seeds, prompts in a fixed random order, and answers as indices into a list of distinct texts.

    An answer is [index of its text, ROUGE-L, whether the model ended it itself], by method and seed;
    `disagreement` of a prompt is the spread (standard deviation) of ROUGE-L over the methods, mean over seeds.
    """
    methods, seeds = list(results.methods), list(results.settings.seeds)
    given = {m: [files.read_rows(layout.Run(m, seed).rows("answers"), Answer) for seed in seeds] for m in methods}
    first = given[methods[0]][0]
    overlap = {method: panels.measure(results, method, "rougeL").by_prompt() for method in methods}  # (S, P) each
    spread = np.stack(list(overlap.values())).std(axis=0).mean(axis=0)  # (P,)
    texts: dict[str, int] = {}  # text → its place in the list
    prompts = []
    for i in np.random.default_rng(ORDER_SEED).permutation(len(first)).tolist():
        answer = first[i]
        answers = [
            [
                [texts.setdefault(told[i].prediction, len(texts)), round(float(overlap[method][s, i]), 1),
                 told[i].finished]
                for s, told in enumerate(given[method])
            ]
            for method in methods
        ]  # fmt: skip
        prompts.append({
            "id": answer.id, "instruction": answer.instruction, "input": answer.input, "reference": answer.reference,
            "disagreement": round(float(spread[i]), 2), "answers": answers,
        })  # fmt: skip
    return {"methods": titles(results), "seeds": seeds, "prompts": prompts, "texts": list(texts)}


def titles(results: Results) -> list[dict[str, str]]:
    """Title and family of each method, in their order."""
    return [{"title": results.title(method), "family": results.family(method)} for method in results.methods]


def script_json(value: Any) -> Markup:
    """JSON that is safe inside a script element: no `<`, `>`, `&` or line separators outside escapes."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # escaped above; HTML entities would break the JSON
