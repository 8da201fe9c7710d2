"""The learning rate of one method, by the budget that every method gets. Run it with `make search`.

reads:  data/prepared, data/model
params: search, train, the method's own section; data and language_model, to say what was searched on
writes: data/search/<method>.json
"""

from ketune.ground import process  # isort: skip  (threads are set before torch is loaded)

from ketune import language_model, methods, search, tokens
from ketune.ground import layout, params, records
from ketune.training import checkpoints


def find(name: str) -> None:
    """Train at each learning rate of the grid and keep the losses on validation records."""
    settings = params.load()
    method = methods.load(name, settings.section(name))
    if not method.learning_rates:
        records.write_json(layout.search_output(name), {"points": [], "best": None})
        print(f"{name}: no learning rate, nothing to search")
        return
    device = language_model.device(settings.train.device)
    model, tokenizer = language_model.load(layout.LANGUAGE_MODEL, settings.train.precision, device)
    rows = {
        split: tokens.tokenize(tokenizer, records.read_rows(layout.split(split), records.Example),
                               settings.train.max_tokens)[0]
        for split in ("train", "validation")
    }  # fmt: skip
    rows["validation"] = rows["validation"][: settings.search.validation_records]
    untrained = search.validation_loss(model, rows["validation"], settings.train, tokenizer.pad_token_id)
    found = search.validation_losses(
        method,
        lambda: language_model.load(layout.LANGUAGE_MODEL, settings.train.precision, device)[0],
        rows,
        settings.train,
        settings.search,
        padding=tokenizer.pad_token_id,
        folder=checkpoints.root() / f"search-{name}",
    )
    result = search.outcome(found, untrained, settings.search)
    data = settings.data.hub or settings.data.source
    records.write_json(
        layout.search_output(name), result | {"data": data, "language_model": settings.language_model.name}
    )
    print(f"{name}: best learning rate {result['best']}; params.yaml has {method.learning_rates}")


if __name__ == "__main__":
    process.run(find, process.method)
