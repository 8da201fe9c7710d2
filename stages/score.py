"""What the answers of a run are worth.

reads:  data/predictions/<run>
params: score
writes: data/scores/<run>.json
"""

from ketune.ground import process  # isort: skip  (threads are set before torch is loaded)

from ketune import scoring
from ketune.ground import files, layout, params
from ketune.records import Answer, Likelihood


def score(name: str, seed: int) -> None:
    """Score answers and sum up likelihoods."""
    settings = params.load()
    run = layout.Run(name, seed)
    answers = files.read_rows(run.predictions / "answers.jsonl", Answer)
    scores = scoring.score(answers, settings.score.bert_model)
    likelihoods = {
        kind: files.read_rows(run.predictions / f"{kind}.jsonl", Likelihood) for kind in ("likelihood", "retention")
    }
    corpus = scores.corpus | scoring.losses(likelihoods)
    content = {"corpus": corpus, "prompts": scores.prompts, "signatures": scores.signatures, "empty": scores.empty}
    content["likelihoods"] = {
        kind: [[row.id, row.negative_log_likelihood, row.tokens] for row in rows] for kind, rows in likelihoods.items()
    }
    files.write_json(run.scores, content)
    shown = ("loss", "bleu", "rougeL", "bertscore")
    print(f"{run.key}: " + ", ".join(f"{metric} {corpus[metric]:.3f}" for metric in shown))


if __name__ == "__main__":
    process.run(score, process.method_and_seed)
