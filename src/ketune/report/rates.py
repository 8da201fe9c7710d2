"""Where each method's learning rates come from: a table, sentences, and the gate "tuned inside its range".

A search is the record of the stage `tune`, in data/tuned; for rates that params.yaml gives as numbers it is the record
in reports/tuned, kept in git, where that one found the very same numbers.
"""

from collections.abc import Mapping

from ketune import tuning
from ketune.records.training import Search
from ketune.report import cells
from ketune.report.cells import ABSENT, Cell, Table, numeral
from ketune.report.results import Results
from ketune.tuning.choice import FREE, objection


def searches(results: Results) -> dict[str, Search]:
    """method → the search that found its rates, where there was one."""
    return {method: found.search for method, found in results.tunings.items() if found.search is not None}


def having_rates(results: Results) -> list[str]:
    """The methods that have a learning rate."""
    return [method for method in results.methods if results.tunings[method].rates]


def lies(search: Search) -> str:
    """Where the winner lies in the ranges that were searched."""
    return ", ".join(f"{rate} at the {edge} edge" for rate, edge in search.edges.items()) or "inside"


def gate(results: Results) -> tuple[bool, str]:
    """Whether every arm was tuned, inside its range and beside no failure; the methods for which that is not so."""
    found = searches(results)
    without = [method for method in having_rates(results) if method not in found]
    at_edge = [method for method, search in found.items() if search.edges]
    faults = []
    if without:
        faults.append(f"no recorded search: {results.named(without)}")
    if at_edge:
        faults.append(f"at the edge of a range: {results.named(at_edge)}")
    if doubted := [method for method, search in found.items() if _doubted(search, results.tunings[method].rates)]:
        faults.append(f"something speaks against every rate tried: {results.named(doubted)}")
    return not faults, "; ".join(faults) or f"{len(found)} methods"


def _doubted(search: Search, rates: Mapping[str, float]) -> bool:
    """Whether the trials at the winning rates have an objection."""
    at_rates = (trial for trial in search.trials if trial.rates == rates)
    return any(objection(trial, search.trials, search.untrained).severity != FREE for trial in at_rates)


def elsewhere(results: Results) -> dict[str, list[str]]:
    """What a search was made for and the study is not → the methods whose search that was."""
    here = tuning.described(results.settings)
    found: dict[str, list[str]] = {}
    for method, search in searches(results).items():
        other = [f"{key.replace('_', ' ')} {search.setting[key]}" for key in here if search.setting[key] != here[key]]
        if other:
            found.setdefault(", ".join(other), []).append(method)
    return found


def sentences(results: Results) -> list[str]:
    """What weakens the rates: no search, one made elsewhere, and what each search itself remarks."""
    found = []
    if without := [method for method in having_rates(results) if method not in searches(results)]:
        found.append(f"Learning rates that no recorded search found: {results.named(without)}.")
    for place, methods in elsewhere(results).items():
        found.append(f"Learning rates that were searched for another setting ({place}): {results.named(methods)}.")
    for method, search in searches(results).items():
        found += [f"{results.title(method)}: {remark}" for remark in search.remarks]
    return found


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
        "difference between two candidates; within it the smaller rates win."
    )
    return cells.table("learning_rates", caption, rows)


def _budget(found: Mapping[str, Search]) -> str:
    """Whether the recorded searches were equal in trials, seeds and steps, read off their records."""
    budgets = {
        (
            len({(*sorted(trial.rates.items()), trial.seed) for trial in search.trials}),  # repeats tell nothing
            len({trial.seed for trial in search.trials}),
            search.setting["steps"],
        )
        for search in found.values()
    }
    if not budgets:
        return "No search is recorded."
    if len(budgets) > 1:
        return "The searches were not equal in trials, seeds or steps."
    [(trials, seeds, steps)] = budgets
    return f"Each recorded search ran {trials} trials of {steps} steps over {seeds} seed{'s' if seeds > 1 else ''}."


def _search(search: Search, rates: dict[str, float]) -> dict[str, Cell]:
    losses = [trial.loss for trial in search.trials if trial.rates == rates and trial.loss is not None]
    mark = "worse" if search.edges else ""
    return {
        "Trials": numeral(len(search.trials), 0),
        "Validation loss": numeral(sum(losses) / len(losses), 4),
        "Untrained": numeral(search.untrained, 4),
        "Noise": numeral(search.noise, 4),
        "Lies": Cell(lies(search), mark=mark),
        "For": Cell(f"{search.setting['data']}, {search.setting['language_model']}, {search.setting['steps']} steps"),
    }


def _none() -> dict[str, Cell]:
    return dict.fromkeys(("Trials", "Validation loss", "Untrained", "Noise", "Lies", "For"), Cell(ABSENT))
