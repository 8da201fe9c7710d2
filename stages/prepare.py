"""Data and language model, ready for every run.

reads:  data.source (or data.hub), data.retention
params: data, language_model; train.batch_size and train.max_tokens, generate.prompts, generate.likelihood_records and
        generate.max_new_tokens, to see at once whether there are records enough that fit
writes: data/prepared, data/model
"""

from ketune.ground import process  # isort: skip  (threads are set before torch is loaded)
from pathlib import Path

from ketune import corpus, language_model, tokens, weights
from ketune.ground import files, layout, params
from ketune.ground.errors import InputError
from ketune.records.preparation import Preparation


def prepare() -> None:
    """Read, clean and split the records; bring the model into one form."""
    settings = params.load()
    data = corpus.build(settings.data)
    passages = corpus.read_passages(Path(settings.data.retention))
    most = max("likelihood_records", "prompts", key=lambda key: getattr(settings.generate, key))
    needs = {
        "train": (settings.train.batch_size, "train.batch_size"),
        "validation": (1, ""),
        "test": (getattr(settings.generate, most), f"generate.{most}"),
    }
    corpus.require(data.examples, needs)
    with language_model.quiet(), files.replacing(layout.LANGUAGE_MODEL) as folder:
        tokenizer = weights.fetch(settings.language_model, folder)
        used = data.examples | {"test": data.examples["test"][: settings.generate.likelihood_records]}
        fewest = {"train": settings.train.batch_size, "validation": 1, "test": 1}
        too_long = tokens.too_long(tokenizer, used, fewest, settings.train.max_tokens)
        tokens.require_scored(tokenizer, passages)
        prompts = tokens.prompt_ids(tokenizer, data.examples["test"][: settings.generate.prompts])
        _require_positions(weights.positions(folder), max(map(len, prompts)), settings)
    summary = Preparation(
        read=data.read,
        dropped=data.dropped,
        sizes={split: len(examples) for split, examples in data.examples.items()},
        too_long=too_long,
        passages=len(passages),
    )
    with files.replacing(layout.PREPARED) as folder:
        for split, examples in data.examples.items():
            files.write_rows(folder / layout.split(split).name, examples)
        files.write_rows(folder / layout.RETENTION.name, passages)
        files.write_json(folder / layout.SUMMARY.name, summary)
    print(f"{data.read} records read; dropped: {_counted(data.dropped)}; prompts too long: {_counted(too_long)}")
    print(", ".join(f"{count} {split}" for split, count in summary.sizes.items()))


def _require_positions(there: int | None, longest: int, settings: params.Params) -> None:
    """Refuse records and answers for which the model has too few positions; None where it needs none."""
    most, new = settings.train.max_tokens, settings.generate.max_new_tokens
    if there is not None and most > there:
        raise InputError(f"train.max_tokens: {most}, but the model has {there} positions; lower it.")
    if there is not None and min(longest, most) + new > there:
        raise InputError(
            f"generate.max_new_tokens: {new} behind a prompt of {min(longest, most)} tokens are more than the model's "
            f"{there} positions; lower it, or train.max_tokens."
        )


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} × {what}" for what, count in counts.items() if count) or "none"


if __name__ == "__main__":
    process.run(prepare)
