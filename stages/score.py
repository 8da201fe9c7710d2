"""What the answers of a run are worth.

reads:  data/predictions/<run>
params: score
writes: data/scores/<run>.json
"""

from ketune.ground import process  # isort: skip  (threads are set before torch is loaded)

from ketune import metrics
from ketune.ground import files, layout, params
from ketune.records.predictions import PREDICTIONS


def score(name: str, seed: int) -> None:
    """Compute every metric."""
    settings = params.load()
    run = layout.Run(name, seed)
    scores = metrics.score(
        {kind: files.read_rows(run.rows(kind), row) for kind, row in PREDICTIONS.items()}, settings.score
    )
    files.write_json(run.scores, scores)
    shown = [f"{metric.title} {scores.metrics[metric.key].score:.{metric.digits}f}" for metric in metrics.every()]
    print(f"{run.key}: {', '.join(shown)}")


if __name__ == "__main__":
    process.run(score, process.method_and_seed)
