"""A made-up study in the form that the stages leave behind: several methods, seeds and prompts, no model needed.

Each method has a known effect on the loss of every prompt, so that a test knows what the report must say.
"""

import math
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import yaml

from ketune import methods, metrics
from ketune.ground import files, layout
from ketune.ground.params import Score
from ketune.metrics import Metric
from ketune.records.examples import Example, Passage
from ketune.records.predictions import Answer, Likelihood
from ketune.records.preparation import Preparation
from ketune.records.scores import MetricScore, RunScores
from ketune.records.training import CurvePoint, Machine, Movement, ParameterCounts, TrainingCost, TrainingRecord, Tuning

ROOT = Path(__file__).parents[1]
WORDS = ("the river number seven flows from hills to sea and every boat on it carries letters for people who wait "
         "by a quiet harbour until evening comes with light rain").split()  # fmt: skip
KINDS = ("Rewrite the sentence", "What is the capital", "Summarize the text", "Classify the item", "Write a letter",
         "List three reasons", "Explain the rule", "Calculate the sum", "Translate the line")  # fmt: skip
# method → trained parameters, shift of the mean loss against the base
ABOUT = {
    "base": (0, 0.0), "full": (134_515_008, -0.30), "lora": (230_400, -0.20), "sora": (195_840, -0.18),
    "prefix": (691_200, -0.05), "qaa": (173_100, -0.19), "quantum_peft": (1_800, -0.08), "qtha": (300_000, -0.12),
    "qaa_frozen": (172_800, -0.19), "qaa_zero": (172_800, -0.17), "qaa_product": (173_100, -0.19),
    "bias_only": (17_280, -0.12), "random_linear": (172_800, -0.14), "random_quadratic": (172_800, -0.15),
    "lora_matched": (172_800, -0.17), "silu_bottleneck": (172_800, -0.18), "qtha_none": (299_000, -0.12),
    "qtha_silu": (300_000, -0.12),
}  # fmt: skip
MACHINE = Machine(
    processor="Example CPU", cores=2, threads=2, memory_bytes=8 << 30, accelerator=None,
    system="Linux x86_64", python="3.11.9", packages={"torch": "2.13.0", "peft": "0.21.2"},
)  # fmt: skip
CARD = {"adapters": 30, "qubits": 10, "gates": {"RX": 10, "CNOT": 10}, "depth": 11, "parameters_without_gradient": 0,
        "backend": {"name": "torch", "mode": "closed form", "description": "Walsh-Hadamard, exact"},
        "two_qubit_gates": 10, "gradient_variance": 0.0006045869,
        "shots_for_precision": {"precision": 0.01, "shots": 10_000}, "drawing": "\n".join(
            f"{k}: ──RX" + "──╰X─╭●──" * 9 + "┤" for k in range(10))}  # fmt: skip

PASSAGES = [Passage(id=f"{i:016x}", text=f"The neutral harbour number {i} lies by the sea.") for i in range(5)]


@dataclass
class Study:
    """What to make up.

    Attributes:
        effects: method → shift of the mean loss, in place of the usual ones.
        answers: (method, seed) → text that every prediction of the run begins with.
        instruction: the instruction of every prompt, in place of the usual ones.
        machines: seed → processor, where it is another one.
        still: (method, part) that did not move.
    """

    methods: list[str]
    seeds: list[int]
    prompts: int = 40
    likelihoods: int = 60
    steps: int = 30
    seed_noise: float = 0.01
    effects: dict[str, float] = field(default_factory=dict)
    answers: dict[tuple[str, int], str] = field(default_factory=dict)
    instruction: str = ""
    machines: dict[int, str] = field(default_factory=dict)
    still: set[tuple[str, str]] = field(default_factory=set)

    def effect(self, method: str) -> float:
        """Shift of a method's mean loss against the base."""
        return self.effects.get(method, ABOUT[method][1])


def write(folder: Path, study: Study, **report: object) -> Path:
    """Write the study into a folder, with the project's own params.yaml at its size."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["train"]["steps"] = study.steps
    params["generate"] |= {"prompts": study.prompts, "likelihood_records": study.likelihoods}
    params["report"] |= report
    for method in study.methods:
        params.setdefault(method, {})
    params |= {"methods": study.methods, "seeds": study.seeds}
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    random = np.random.default_rng(0)
    difficulty = random.normal(0, 0.35, study.likelihoods)
    batches = random.normal(0, 0.15, (len(study.seeds), study.steps))
    examples = _examples(study, random)
    files.write_rows(folder / layout.split("test"), examples)
    sizes = {"train": 640, "validation": 80, "test": 80}
    summary = Preparation(read=800, dropped={"duplicate": 3}, sizes=sizes, too_long={"train": 2, "test": 0}, passages=5)
    files.write_json(folder / layout.SUMMARY, summary)
    files.write_rows(folder / layout.RETENTION, PASSAGES)
    for method in study.methods:
        given = params[method].get("learning_rates", {})
        rates = {part: 0.01 if rate == methods.TUNED else rate for part, rate in given.items()}
        files.write_json(folder / layout.tuned(method), Tuning(rates=rates, search=None))
        for number, seed in enumerate(study.seeds):
            random = np.random.default_rng([seed, *method.encode()])
            run = layout.Run(method, seed)
            predictions = _predictions(study, run, examples, difficulty, random)
            for kind, rows in predictions.items():
                files.write_rows(folder / run.rows(kind), rows)
            files.write_json(folder / run.scores, RunScores(
                ids={kind: tuple(row.id for row in rows) for kind, rows in predictions.items()},
                metrics={m.key: _scored(m, predictions[m.reads], Score(bert_model="minilm")) for m in metrics.every()},
            ))  # fmt: skip
            files.write_csv(folder / run.curve, CurvePoint, _curve(study, method, batches[number], random))
            files.write_json(folder / run.cost, _training(study, run, list(rates)))
    return folder


def _examples(study: Study, random: np.random.Generator) -> list[Example]:
    examples = []
    for i in range(max(study.prompts, study.likelihoods)):
        words = random.choice(WORDS, int(random.integers(3, 60)))
        examples.append(Example(
            id=f"{i:016x}", instruction=study.instruction or f"{KINDS[i % len(KINDS)]} number {i}.",
            input=f"Item {i}." if i % 3 == 0 else "", output=" ".join(words),
        ))  # fmt: skip
    return examples


def _predictions(
    study: Study, run: layout.Run, examples: list[Example], difficulty: np.ndarray, random: np.random.Generator
) -> dict[str, list]:
    trained, effect = run.method != "base", study.effect(run.method)
    losses = 1.6 + effect + (random.normal(0, study.seed_noise) if trained else 0.0) + difficulty
    losses = losses + (random.normal(0, 0.05, study.likelihoods) if trained else 0)
    forgotten = 3.1 + 0.05 * np.arange(len(PASSAGES)) - 0.2 * effect**2 * trained
    tokens = [len(example.output.split()) + 1 for example in examples]
    return {
        "answers": [_answer(study, run, i, example, random) for i, example in enumerate(examples[: study.prompts])],
        "likelihood": [
            Likelihood(id=e.id, negative_log_likelihood=float(x * t), tokens=t)
            for e, x, t in zip(examples, losses, tokens, strict=False)
        ],
        "retention": [
            Likelihood(id=passage.id, negative_log_likelihood=float(100 * x), tokens=100)
            for passage, x in zip(PASSAGES, forgotten, strict=True)
        ],
    }


def _scored(metric: Metric, rows: list, settings: Score) -> MetricScore:
    """The metric's own score; where that needs a model or seconds, the share of words in common in its place."""
    if metric.key in ("bertscore", "rouge1", "rouge2", "rougeL"):
        made_up = metrics.averaged([_common(answer) for answer in rows])
        metric = replace(metric, sums=lambda *_: made_up, signature=lambda _: f"{metric.key}|made up")
    return metric.score(rows, settings)


def _common(answer: Answer) -> float:
    ours, theirs = set(answer.prediction.split()), set(answer.reference.split())
    return 100 * len(ours & theirs) / max(1, len(ours | theirs))


def _answer(study: Study, run: layout.Run, i: int, example: Example, random: np.random.Generator) -> Answer:
    share = 0.5 - study.effect(run.method)
    text = " ".join(word for word in example.output.split() if random.random() < share)
    text = study.answers.get((run.method, run.seed), "") + text
    return Answer(
        id=example.id, instruction=example.instruction, input=example.input, reference=example.output,
        prediction=text, new_tokens=len(text.split()), finished=bool(i % 2),
    )  # fmt: skip


def _curve(study: Study, method: str, batches: np.ndarray, random: np.random.Generator) -> list[CurvePoint]:
    if method == "base":
        return []
    learnt = [(study.effect(method) - 0.2) * (1 - math.exp(-step / 10)) for step in range(study.steps)]
    losses = 2.0 + batches + learnt + random.normal(0, 0.02, study.steps)
    return [
        CurvePoint(step=step, loss=float(loss), gradient_norm=1.0, learning_rate=0.001)
        for step, loss in enumerate(losses, start=1)
    ]


def _training(study: Study, run: layout.Run, parts: list[str]) -> TrainingRecord:
    parameters, _ = ABOUT[run.method]
    trained = run.method != "base"
    added = 0 if run.method == "full" else parameters
    return TrainingRecord(
        parameters=ParameterCounts(
            total=134_515_008 + added, trainable=parameters, receiving=parameters if trained else None
        ),
        cost=TrainingCost(
            wall_seconds=20.0 + parameters / 1e6 if trained else 0.0,
            tokens_per_second=900.0 if trained else None,
            peak_memory_bytes=900_000_000 + 4 * parameters,
            energy_joules=None,
        ),
        machine=replace(MACHINE, processor=study.machines.get(run.seed, MACHINE.processor)),
        device="cpu",
        attention="eager",
        adapter_bytes=4 * parameters,
        card=CARD if methods.declared(run.method).family == "quantum" else {},
        moved=tuple(_movement(part, (run.method, part) in study.still) for part in parts),
        resumed_from=0,
    )


def _movement(part: str, still: bool) -> Movement:
    distance = 1e-4 if still else 0.2
    if part == "angles":
        return Movement(part=part, unit="radians", distance=distance, largest=3 * distance)
    return Movement(part=part, unit="relative", distance=distance, largest=None)


if __name__ == "__main__":
    import sys

    target = Path(sys.argv[1])
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    write(target, Study(list(ABOUT), [0, 1, 2]))
