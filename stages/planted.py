"""A planted study: the whole pipeline on records whose maker is known, and whether what it says is right.

The stages beside this file are called one after another in this process, in a folder of the study's own: bringing up a
process for each of them would take longer than all training together.

reads:  stages/planted.yaml, params.yaml
writes: .cache/planted/<study>, where all that the pipeline makes lies, its report too; reports/planted/<study>.json
"""

from ketune.ground import process  # isort: skip  (threads are set before torch is loaded)
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a study has a core of its own, and matrices too small to share
os.environ.setdefault("TQDM_DISABLE", "1")  # a bar for each of hundreds of runs tells nothing

import generate
import prepare
import score
import train
import tune
from ketune import planted_study, report
from ketune.ground import params


def run(*names: str) -> None:
    """Run the named studies, all of them by default; end with status 1 where a verdict is wrong."""
    planted_study.run(names, pipeline)


def pipeline() -> report.results.Results:
    """Every stage on every run of the folder's params.yaml."""
    settings = params.load()
    prepare.prepare()
    for method in settings.methods:
        tune.tune(method)
    for method, seed in settings.runs:
        for stage in (train.train, generate.generate, score.score):
            stage(method, seed)
    return report.write(settings)


if __name__ == "__main__":
    process.run(run, tuple)
