"""Where each method's learning rates come from: a table, sentences, and the gate "tuned inside its range".

A search is the record of the stage `tune`, in data/tuned; for rates that params.yaml gives as numbers it is the record
in reports/tuned, kept in git, where that one found the very same numbers.
"""

from collections.abc import Mapping

from ketune import tuning
from ketune.methods import TUNED
from ketune.records.training import Search
from ketune.report import cells
from ketune.report.cells import ABSENT, Cell, Table, number, numeral
from ketune.report.results import Results
from ketune.tuning.choice import FREE, choose, objection


def searches(results: Results) -> dict[str, Search]:
    """method → the search that found its rates, where there was one."""
    return {method: found.search for method, found in results.tunings.items() if found.search is not None}


def having_rates(results: Results) -> list[str]:
    """The methods that have a learning rate."""
    return [method for method in results.methods if results.tunings[method].rates]


def gate(results: Results) -> tuple[bool | None, str]:
    """Whether every arm was tuned for this setting, in runs as long, in its range, beside no failure; which was not.

    None where no method has a learning rate.
    """
    if not having_rates(results):
        return None, "no method has a learning rate"
    faults = [words for words, _ in _faults(results)]
    doubtful = []
    if unknown := without_noise(results):
        doubtful.append(f"noise unknown: {results.named(unknown)}")
    if silent := untold(results):
        doubtful.append(f"not every setting of the search on record: {results.named(silent)}")
    return not faults, "; ".join([*(faults or [f"{len(searches(results))} methods"]), *doubtful])


def in_doubt(results: Results) -> list[str]:
    """The methods for which the gate fails: other rates may do better, so their losses may be higher than need be."""
    named = {method for _, those in _faults(results) for method in those}
    return [method for method in results.methods if method in named]


def _faults(results: Results) -> list[tuple[str, list[str]]]:
    """What speaks against rates, in words, and the methods of which it is said."""
    found, told = searches(results), []
    if without := [method for method in having_rates(results) if method not in found]:
        told.append((f"no recorded search: {results.named(without)}", without))
    if at_edge := [method for method, search in found.items() if search.edges]:
        told.append((f"at the edge of a range: {results.named(at_edge)}", at_edge))
    every = {method: _doubt(search, results.tunings[method].rates) for method, search in found.items()}
    if doubts := {method: words for method, words in every.items() if words}:
        said = " and ".join(f"{results.named([method])}, as {words}" for method, words in doubts.items())
        told.append((f"something speaks against the rates: {said}", list(doubts)))
    for place, those in elsewhere(results).items():
        told.append((f"searched for another setting ({place}): {results.named(those)}", those))
    if those := shorter(results):
        steps = tuning.of_a_trial(results.settings).steps
        told.append((f"searched in trials of {steps} steps, fewer than the runs have: {results.named(those)}", those))
    return told


def without_noise(results: Results) -> list[str]:
    """The methods whose search tells no noise, so that smaller rates could not win within it."""
    return [method for method, search in searches(results).items() if search.noise is None]


def _doubt(search: Search, rates: Mapping[str, float]) -> str:
    """What speaks against the rates, judged on the trials as today's rule would; "" where nothing does."""
    at_rates = (trial for trial in search.trials if trial.rates == rates)
    against = (objection(trial, search.trials, search.untrained) for trial in at_rates)
    return next((one.words for one in against if one.severity != FREE), "")


def untaken(results: Results, leader: str, other: str) -> str:
    """The best rates that were tried of `other`, where they put it ahead of its leader on validation records.

    Of rates within the noise a search takes the smaller, so a lead may be worth no more than that. "" where they do
    not, and where the two searches do not compare.
    """
    found = searches(results)
    if not {leader, other} <= found.keys():
        return ""
    ours, theirs = found[leader], found[other]
    if any(ours.setting.get(key) != theirs.setting.get(key) for key in ("data", "language_model", "steps")):
        return ""
    chosen = choose(theirs.trials, theirs.untrained)
    reached = _validated(ours, results.tunings[leader].rates)
    if chosen is None or reached is None or (lowest := _validated(theirs, chosen.best.rates)) is None:
        return ""
    if lowest >= reached:
        return ""
    return f"{tuning.shown(chosen.best.rates)}, {number(lowest, 4)} to {number(reached, 4)} on validation records"


def _validated(search: Search, rates: Mapping[str, float]) -> float | None:
    losses = [trial.loss for trial in search.trials if trial.rates == rates and trial.loss is not None]
    return sum(losses) / len(losses) if losses else None


def elsewhere(results: Results) -> dict[str, list[str]]:
    """What a search was made for and the study is not → the methods whose search that was."""
    found: dict[str, list[str]] = {}
    for method, search in searches(results).items():
        here, there = tuning.described(results.settings, method), search.setting
        if other := [key for key in here if key in there and there[key] != here[key]]:
            place = ", ".join(f"{key.replace('_', ' ')} {there[key]}" for key in other)
            found.setdefault(place, []).append(method)
    return found


def shorter(results: Results) -> list[str]:
    """The methods whose trials are as long as the study asks, and shorter than its runs: the best rate may differ."""
    steps = tuning.of_a_trial(results.settings).steps
    if steps == results.settings.train.steps:
        return []
    return [method for method, search in searches(results).items() if search.setting["steps"] == steps]


def untold(results: Results) -> list[str]:
    """The methods whose rates are numbers, from a search that does not tell all settings on which rates depend.

    A search of the study itself had those of the study: a method whose settings change is tuned again.
    """
    if results.settings.tune.all:
        return []
    return [
        method for method, search in searches(results).items()
        if not tuning.described(results.settings, method).keys() <= search.setting.keys()
        and TUNED not in results.settings.section(method).get("learning_rates", {}).values()
    ]  # fmt: skip


def sentences(results: Results) -> list[str]:
    """What weakens the rates and stands in no gate or table: what each search itself remarks."""
    return [f"{results.title(method)}: {remark}" for method, one in searches(results).items() for remark in one.remarks]


def table(results: Results) -> Table | None:
    """Each method's rates, and how they were found."""
    rows = []
    for method in having_rates(results):
        search = searches(results).get(method)
        row = {"Method": Cell(results.title(method), method=method),
               "Rates": Cell(tuning.shown(results.tunings[method].rates))}  # fmt: skip
        rows.append(row | (_search(search, results.tunings[method].rates) if search else _none()))
    caption = (
        f"Learning rates, judged on validation records. {_budget(searches(results))} Noise: standard error of the "
        "difference between two candidates; within it the smaller rates win. Intervals on this page "
        "are for these rates: the uncertainty of the search is in none of them."
    )
    if without_noise(results):
        caption += " It is unknown where no second candidate was confirmed, and there they could not."
    return cells.table("learning_rates", caption, rows)


def _different(search: Search) -> int:
    """The number of trials that differ in rates or seed: a repeat tells nothing."""
    return len({(*sorted(trial.rates.items()), trial.seed) for trial in search.trials})


def _budget(found: Mapping[str, Search]) -> str:
    """Whether the recorded searches were equal in trials, seeds and steps, read off their records."""
    budgets = {
        (_different(search), len({trial.seed for trial in search.trials}), search.setting["steps"])
        for search in found.values()
    }
    if not budgets:
        return "No search is recorded."
    if len(budgets) > 1:
        return "The searches were not equal in trials, seeds or steps."
    [(trials, seeds, steps)] = budgets
    over = cells.counted(seeds, "seed")
    return f"Each recorded search ran {trials} different trials of {steps} steps over {over}."


def _search(search: Search, rates: dict[str, float]) -> dict[str, Cell]:
    lies = ", ".join(f"{rate} at the {edge} edge" for rate, edge in search.edges.items()) or "inside"
    mark, repeats = "worse" if search.edges else "", len(search.trials) - _different(search)
    return {
        "Trials": numeral(_different(search), 0, note=f"and {repeats} repeated" if repeats else ""),
        "Validation loss": numeral(_validated(search, rates), 4),
        "Untrained": numeral(search.untrained, 4),
        "Noise": numeral(search.noise, 4),
        "Lies": Cell(lies, mark=mark),
        "For": Cell(f"{search.setting['data']}, {search.setting['language_model']}, {search.setting['steps']} steps"),
    }


def _none() -> dict[str, Cell]:
    return dict.fromkeys(("Trials", "Validation loss", "Untrained", "Noise", "Lies", "For"), Cell(ABSENT))
