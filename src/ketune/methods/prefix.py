"""Trained keys and values before the text; the row of arXiv:2509.16244 is 30 virtual tokens."""

from ketune.ground.checks import Range
from ketune.methods import Departure, Method

METHOD = Method(
    title="Prefix",
    family="classical",
    source="arXiv:2101.00190",
    adapter="prefix",
    rates={"weights": Range(1e-3, 1e-1)},
    departures=(
        Departure("No network reparameterises the prefix, as in the row of arXiv:2509.16244."),
        Departure(
            "The prefix starts at the keys and values that the frozen model computes for a text, which "
            "arXiv:2101.00190 finds better where data are few; arXiv:2509.16244 does not say where its own starts.",
            where={"initialisation": "from_text"},
        ),
    ),
)
