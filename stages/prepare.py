"""Data and language model, ready for every run.

reads:  data.source (or data.hub), data.retention
params: data, language_model; train.batch_size, generate.prompts and generate.likelihood_records, to see at once whether
        there are records enough
writes: data/prepared, data/model
"""

from ketune.ground import process  # isort: skip  (threads are set before torch is loaded)
from pathlib import Path

from ketune import corpus, language_model, weights
from ketune.ground import files, layout, params
from ketune.records import Preparation


def prepare() -> None:
    """Read, clean and split the records; bring the model into one form."""
    settings = params.load()
    data = corpus.build(settings.data)
    passages = corpus.read_passages(Path(settings.data.retention))
    needs = {
        "train": (settings.train.batch_size, "train.batch_size"),
        "validation": (1, "data.validation_fraction"),
        "test": (max(settings.generate.prompts, settings.generate.likelihood_records), "generate.likelihood_records"),
    }
    corpus.require(data.examples, needs)
    with language_model.quiet(), files.replacing(layout.LANGUAGE_MODEL) as folder:
        weights.fetch(settings.language_model, folder)
    sizes = {split: len(examples) for split, examples in data.examples.items()}
    with files.replacing(layout.PREPARED) as folder:
        for split, examples in data.examples.items():
            files.write_rows(folder / layout.split(split).name, examples)
        files.write_rows(folder / layout.RETENTION.name, passages)
        summary = Preparation(read=data.read, dropped=data.dropped, sizes=sizes, passages=len(passages))
        files.write_json(folder / layout.SUMMARY.name, summary)
    dropped = ", ".join(f"{count} × {reason}" for reason, count in data.dropped.items()) or "none"
    print(f"{data.read} records read; dropped: {dropped}; " + ", ".join(f"{n} {s}" for s, n in sizes.items()))


if __name__ == "__main__":
    process.run(prepare)
