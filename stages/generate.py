"""What a run answers, and how likely it finds the references and neutral text.

reads:  data/prepared, data/model, data/adapters/<run>
params: generate, train.max_tokens, the method's own section
writes: data/predictions/<run>
"""

from ketune.ground import process  # isort: skip  (threads are set before torch is loaded)

from ketune import adapters, generation, language_model, likelihood, methods, tokens
from ketune.ground import files, layout, params
from ketune.records.examples import Example, Passage


def generate(name: str, seed: int) -> None:
    """Decode answers to test prompts; measure likelihoods of test references and of neutral text."""
    settings = params.load()
    adapter = methods.adapter(name, settings.section(name))
    run = layout.Run(name, seed)
    device = language_model.device(settings.generate)
    print(f"{run.key}: on {device}", flush=True)
    model, tokenizer = language_model.load(layout.LANGUAGE_MODEL, settings.generate.precision, device)
    model = adapters.restore(run.adapter, model).to(device)
    adapter.set_runtime(model)
    language_model.fix_randomness(seed)
    test = files.read_rows(layout.split("test"), Example)
    passages = files.read_rows(layout.RETENTION, Passage)
    limit = settings.train.max_tokens
    texts = {
        "likelihood": tokens.tokenize(tokenizer, test[: settings.generate.likelihood_records], limit),
        "retention": [
            tokens.tokenize_passage(tokenizer, passage, limit)
            for passage in passages[: settings.generate.likelihood_records]
        ],
    }
    with files.replacing(run.predictions) as folder:
        answers = generation.answers(model, tokenizer, test[: settings.generate.prompts], settings.generate, limit)
        files.write_rows(folder / run.rows("answers").name, answers)
        for kind, rows in texts.items():
            values = likelihood.likelihoods(model, rows, tokenizer.pad_token_id)
            files.write_rows(folder / run.rows(kind).name, values)
    finished = sum(answer.finished for answer in answers)
    print(f"{run.key}: {len(answers)} answers, {finished} of them ended by the model itself")


if __name__ == "__main__":
    process.run(generate, process.method_and_seed)
