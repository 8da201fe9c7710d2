"""The plan of a study: `make plan` writes plan.json and plan.md in reports/plan.

The pilot lies in the workspace, or in the records of an earlier study: `make plan STUDY=name`. What is planned, its
methods, size and comparisons, stands in params.yaml either way; of a pilot's methods only those count that are listed.
"""

from ketune.ground import process  # isort: skip  (threads are set before numpy is loaded)
import datetime
from dataclasses import replace

from ketune.ground import files, layout, params
from ketune.report import archive, publishing, results
from ketune.report.panels import MARGIN
from ketune.report.plan import Plan, Promise, make
from ketune.statistics.estimates import seeds_to_confirm


def text(plan: Plan) -> str:
    """The plan for a reader, in Markdown."""
    where = f"{plan.setting.language_model} on {plan.setting.data}, {plan.setting.steps:,} steps"
    strictest = min(promise.level for promise in plan.promises)
    parts = [
        f"# Plan of a study, {plan.date}",
        f"{where}: {plan.seeds} seeds, {plan.references} references. Variances are those of a pilot with "
        f"{plan.pilot_seeds} seeds and {plan.pilot_references} references. Training its {len(plan.methods)} methods "
        f"takes {plan.training_hours:.1f} h, one run after another on its machine; answers and scores come on top.",
        f"{_comparable(plan.margin)} The seeds alone can confirm a word at its strictest level, {strictest:.3g}, with "
        f"{seeds_to_confirm(strictest)} or more.",
        "## What it will find",
        "Planned comparisons stand under Holm's correction, here at its strictest level. A control stands at the level "
        "at which a method is ahead of it, uncorrected, because an attribution needs all of them; that a method is "
        "worse than a control is found less often. Power: how often a true difference of that size, in nats per token, "
        "is found; in brackets, how often the sign-flip test over seeds finds it, which takes the references as they "
        "are. Words are confirmed where both do.",
        _promises(plan),
        *_without_pilot(plan),
    ]
    if plan.alternatives:
        told = "The difference in loss that the least sure of these comparisons finds four times in five."
        parts += ["## Other sizes", told, _sizes(plan)]
    return "\n\n".join(parts) + "\n"


def _comparable(margin: float | None) -> str:
    if margin is None:
        return (
            "No difference will be called comparable: fewer than three of the pilot's methods vary over seeds and keep "
            "nothing that a seed draws."
        )
    return f"Comparable will mean: within {margin:.4f} nats per token, {MARGIN}."


def _without_pilot(plan: Plan) -> list[str]:
    if not plan.without_pilot:
        return []
    told = ", ".join(plan.without_pilot)
    return [f"Declared without a pilot, and counted in the correction all the same: {told}."]


def _promises(plan: Plan) -> str:
    headings = ["comparison", "role", "level", "detectable", *(f"{difference:g}" for difference in plan.differences)]
    rows = [
        [promise.contrast, promise.role, f"{promise.level:.4g}", f"{promise.detectable:.4f}", *_powers(promise)]
        for promise in plan.promises
    ]
    return _table(headings, rows)


def _powers(promise: Promise) -> list[str]:
    return [f"{power:.2f} ({both:.2f})" for power, both in zip(promise.power, promise.confirmed, strict=True)]


def _sizes(plan: Plan) -> str:
    at = {(seeds, references): detectable for seeds, references, detectable in plan.alternatives}
    counts = list(dict.fromkeys(references for _, references in at))
    rows = [[str(seeds), *(f"{at[seeds, count]:.4f}" for count in counts)] for seeds in dict.fromkeys(s for s, _ in at)]
    return _table(["seeds", *(f"{count} references" for count in counts)], rows)


def _table(headings: list[str], rows: list[list[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(study: str = "") -> None:
    """Read the pilot, from the workspace or from a study's records, and write and print its plan."""
    settings = params.load()
    pilot = archive.read(publishing.study_folder(study))[0] if study else results.read(settings)
    listed = tuple(method for method in pilot.methods if method in settings.methods)
    aims = replace(pilot.settings, plan=settings.plan, report=settings.report, methods=listed)
    runs = {key: run for key, run in pilot.runs.items() if key[0] in listed}
    plan = make(replace(pilot, settings=aims, runs=runs), datetime.datetime.now(datetime.UTC).date().isoformat())
    files.write_json(layout.PLAN, plan)
    files.write_text(layout.PLAN.with_suffix(".md"), text(plan))
    print(text(plan))


if __name__ == "__main__":
    process.run(write, lambda arguments: tuple(argument for argument in arguments if argument))
