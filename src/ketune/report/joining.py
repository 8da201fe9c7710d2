"""Records of one study from several workspaces: what was brought before stays beside what comes, where runs compare.

So a study may be spread over machines that do not see each other, by methods or by seeds, or gain a method later. Each
has all methods × seeds: workspaces with unlike seeds must have the same methods, trained at the same rates. Of a run
that both have, the one that comes is taken. Each method keeps the commits of the code that ran it.
"""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ketune.ground import files, layout
from ketune.ground.errors import InputError
from ketune.ground.params import BLOCKS
from ketune.records.training import Tuning
from ketune.report import archive, results
from ketune.report.background import Background
from ketune.report.results import Results

FREE = ("report", "hardware")  # blocks of the params by which runs do not differ; readings are looked at by themselves


def join(earlier: Path, folder: Path) -> tuple[tuple[str, int], ...]:
    """Add to the records in `folder` the methods, or the seeds, of `earlier` that they lack.

    Returns: the runs (method, seed) of `earlier` that stay.

    Raises:
        InputError: the earlier records cannot be read, or their runs do not compare with those that come.
    """
    found, beside = archive.read(folder)
    try:
        kept, before = archive.read(earlier)
        stay = tuple(run for run in kept.runs if run not in found.runs)
        if stay:
            _check(kept, found)
            _check_data(before, beside)
    except InputError as error:
        raise InputError(
            f"{earlier}: the records that lie there do not fit those that come ({error}) Remove that folder to begin "
            "anew, or give STUDY another name."
        ) from None
    if stay or set(before.left_out) - {*found.methods, *beside.left_out}:
        methods = tuple(dict.fromkeys(method for method, _ in stay))
        _write(folder, _united(kept, found), _around(before, beside, methods), (earlier, folder))
        archive.read(folder)  # what is joined can be read, before it takes the place of what lies there
    return stay


def _check(kept: Results, found: Results) -> None:
    """Refuse runs with other params, on other data or steps, or scored in another way."""
    for block in BLOCKS:
        if block not in FREE:
            _check_alike(block, getattr(kept.settings, block), getattr(found.settings, block))
    _check_readings(kept, found)
    if set(kept.settings.seeds) != set(found.settings.seeds):
        _check_methods(kept, found)
    results.check({**kept.runs, **found.runs})


def _check_alike(block: str, was: Any, now: Any) -> None:
    """Refuse the first setting of a block that was another."""
    for key, value in asdict(was).items():
        if (other := asdict(now)[key]) != value:
            raise InputError(f"params.yaml: {block}.{key} was {value} and is {other}.")


def _check_readings(kept: Results, found: Results) -> None:
    """Refuse what would lose readings of circuits, or set those that were made in different ways beside each other."""
    there, here = kept.settings.hardware, found.settings.hardware
    if lost := (set(there.methods) & set(found.methods)) - set(here.methods):
        raise InputError(f"params.yaml: no readings of {', '.join(sorted(lost))} come, and some lie there.")
    if there.methods and here.methods:
        _check_alike("hardware", replace(there, methods=()), replace(here, methods=()))
    if set(kept.settings.seeds) != set(found.settings.seeds) and set(there.methods) != set(here.methods):
        raise InputError(f"params.yaml: hardware.methods was {list(there.methods)} and is {list(here.methods)}.")


def _check_methods(kept: Results, found: Results) -> None:
    """Refuse runs of other seeds where a method would lack some of them, or is another one in some of them."""
    there, here = (", ".join(map(str, one.settings.seeds)) for one in (kept, found))
    if lacking := set(kept.methods) ^ set(found.methods):
        raise InputError(
            f"params.yaml: seeds were {there} and are {here}, and not both have runs of {', '.join(sorted(lacking))}."
        )
    for method in kept.methods:
        one, other = (_trained_with(every, method) for every in (kept, found))
        for key in {**one, **other}:
            if (was := one.get(key)) != (now := other.get(key)):
                raise InputError(f"{method}: {key} was {was} with seeds {there} and is {now} with {here}.")


def _trained_with(one: Results, method: str) -> dict[str, Any]:
    """A method's section, and the rates that were used in place of how they were asked for."""
    return {**one.settings.sections[method], "learning_rates": one.tunings[method].rates}


def _check_data(before: Background, beside: Background) -> None:
    one, other = (around.digests.get(str(layout.PREPARED)) for around in (before, beside))
    if one != other:
        raise InputError(f"{layout.PREPARED}: its digest was {one} and is {other}.")


def _united(kept: Results, found: Results) -> Results:
    """All runs, methods in the order in which they came and seeds in that of their numbers."""
    methods = tuple(dict.fromkeys((*kept.methods, *found.methods)))
    seeds = tuple(sorted({*kept.settings.seeds, *found.settings.seeds}))
    sections = {**kept.settings.sections, **found.settings.sections}
    sections = {method: sections[method] for method in methods}
    stay = (method for method in kept.settings.hardware.methods if method not in found.methods)
    measured = (*found.settings.hardware.methods, *stay)
    ways = (found if found.settings.hardware.methods else kept).settings.hardware
    hardware = replace(ways, methods=tuple(method for method in methods if method in measured))
    settings = replace(found.settings, methods=methods, seeds=seeds, sections=sections, hardware=hardware)
    runs, tunings = {**kept.runs, **found.runs}, {**kept.tunings, **found.tunings}
    for method, tuning in kept.tunings.items():
        if tunings[method].search is None and tunings[method].rates == tuning.rates:
            tunings[method] = tuning  # where numbers were given, the record of their search may lie in one place alone
    return replace(
        found,
        settings=settings,
        runs={key: runs[key] for key in settings.runs},
        tunings={method: tunings[method] for method in methods},
    )


def _around(before: Background, beside: Background, stay: tuple[str, ...]) -> Background:
    """What stands beside all runs: plan, planted studies and bills of the later ones where there are any."""
    absent = dict.fromkeys((*before.left_out, *beside.left_out))
    ran = {*stay, *beside.revisions}
    digests = {path: md5 for path, md5 in before.digests.items() if _method(path) in stay}
    commits = {method: dict.fromkeys(before.revisions[method].split(", ")) for method in stay}
    for method, commit in beside.revisions.items():
        commits.setdefault(method, {})[commit] = None
    return replace(
        beside,
        plan=beside.plan or before.plan,
        planted=beside.planted or before.planted,
        bills={**before.bills, **beside.bills},
        measured={**before.measured, **beside.measured},
        digests={**digests, **beside.digests},
        left_out=tuple(method for method in absent if method not in ran),
        revisions={method: ", ".join(every) for method, every in commits.items()},
    )


def _method(path: str) -> str:
    """The method whose run left a path behind: `data/scores/qaa_frozen-3.json`."""
    return Path(path).stem.rpartition("-")[0]


def _write(folder: Path, united: Results, beside: Background, sources: tuple[Path, Path]) -> None:
    """The records of all runs in place of those in `folder`; searches of methods without runs from where they lie."""
    searched: dict[str, Tuning | None] = dict.fromkeys(beside.left_out)
    for method in beside.left_out:
        for path in (source / f"tuned/{method}.json" for source in sources):
            if path.exists():
                searched[method] = files.read_json(path, Tuning)
    settings = (folder / "params.yaml").read_text(encoding="utf-8")
    archive.write(folder, united, beside, searched, archive.shortened(settings, united.settings))
