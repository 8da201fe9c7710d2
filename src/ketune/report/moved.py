"""How far the parts of each method travelled in training, and whose verdict that makes void."""

import numpy as np

from ketune import movement
from ketune.records.training import Movement
from ketune.report import cells
from ketune.report.cells import Cell, Table, numeral
from ketune.report.results import Results

UNITS = {"radians": ("median |Δθ|, rad", 1.0, 3), "relative": ("‖Δ‖ / ‖start‖, %", 100.0, 2), "norm": ("‖Δ‖", 1.0, 3)}


def void(results: Results) -> dict[str, str]:
    """method → why there is no verdict about it: a part that was to learn stood still."""
    found = {
        method: movement.void(results.title(method), [run.training.moved for run in results.of(method)])
        for method in results.methods
    }
    return {method: sentence for method, sentence in found.items() if sentence is not None}


def gate(results: Results) -> tuple[bool | None, str]:
    """Whether every part of every method moved, and the sentences on those that did not; None where that is not told.

    A part is what has a learning rate; its movement is to be recorded in every run.
    """
    if still := void(results):
        return False, " ".join(still.values())
    parts = sum(map(len, _parts(results).values()))
    if not parts:
        return None, "no run recorded what moved"
    if untold := [method for method in results.methods if _untold(results, method)]:
        return None, f"what moved is not recorded in every run: {results.named(untold)}"
    return True, f"{parts} parts"


def _untold(results: Results, method: str) -> bool:
    parts = results.tunings[method].rates.keys()
    return any(parts - {moved.part for moved in run.training.moved} for run in results.of(method))


def table(results: Results) -> Table | None:
    """A row for each part of each method, medians over seeds."""
    rows = [
        {
            "Method": Cell(results.title(method), method=method),
            "Part": Cell(part),
            "Learning rate": Cell(f"{(rate := results.tunings[method].rates[part]):.3g}", rate),
            **_distance(found),
            "Moved": Cell("no", mark="worse") if any(map(movement.stood_still, found)) else Cell("yes"),
        }
        for method in results.methods
        for part, found in _parts(results)[method].items()
    ]
    caption = (
        "What moved: the distance of each part from its start, median over seeds, lowest to highest below. Radians for "
        "angles, otherwise relative to the norm of the start, or the plain norm where a part starts at 0. A part "
        f"stands still up to {movement.BOUNDS['radians']} rad or {100 * movement.BOUNDS['relative']:g} % of its norm; "
        "one that starts at 0 has no such measure, and any step counts."
    )
    return cells.table("moved", caption, rows)


def _parts(results: Results) -> dict[str, dict[str, list[Movement]]]:
    """method → part → its movements, one a seed."""
    found: dict[str, dict[str, list[Movement]]] = {method: {} for method in results.methods}
    for (method, _), run in results.runs.items():
        for moved in run.training.moved:
            found[method].setdefault(moved.part, []).append(moved)
    return found


def _distance(found: list[Movement]) -> dict[str, Cell]:
    heading, scale, digits = UNITS[found[0].unit]
    distances = [scale * moved.distance for moved in found]
    note = f"{min(distances):.{digits}f} to {max(distances):.{digits}f}" if len(set(distances)) > 1 else ""
    return {"Distance": numeral(float(np.median(distances)), digits, note=note), "Measured as": Cell(heading)}
