"""What it means how far a part of a method travelled in training. No torch: measuring is the business of training.

A part is the set of weights that share a learning rate. Where one that was to learn stood still, its arm is no
evidence about it: an adapter whose angles never moved is an adapter with frozen angles.
"""

from collections.abc import Sequence

from ketune.records.training import Movement

# Below this a part stood still. Radians: the median angle changed by less than a hundredth of the ±π that angles are
# drawn from, and no expectation value by more than 0.03 of its range of 2 for each gate. Relative: less than bfloat16
# can hold of a weight (its unit roundoff is 2**-9). From a start at 0 any step away is a change.
BOUNDS = {"radians": 0.03, "relative": 1e-3, "norm": 0.0}


def stood_still(movement: Movement) -> bool:
    """True where the part moved by no more than its unit's bound."""
    return movement.distance <= BOUNDS[movement.unit]


def described(movement: Movement) -> str:
    """A distance with its unit, for tables and sentences."""
    if movement.unit == "radians":
        return f"{movement.distance:.2g} rad (median; largest {movement.largest:.2g})"
    if movement.unit == "relative":
        return f"{100 * movement.distance:.2g} % of its norm"
    return f"norm {movement.distance:.2g} from 0"


def void(title: str, runs: Sequence[Sequence[Movement]]) -> str | None:
    """Why the verdict about a method is void, from what moved in each of its runs; None where every part moved."""
    still: dict[str, list[Movement]] = {}
    for run in runs:
        for movement in filter(stood_still, run):
            still.setdefault(movement.part, []).append(movement)
    if not still:
        return None
    parts = "; ".join(f"{part} moved {_span(found)} in {_runs(len(found), len(runs))}" for part, found in still.items())
    return f"{title}: no verdict, because a part that was to learn stood still ({parts})."


def _span(found: Sequence[Movement]) -> str:
    least, most = min(found, key=lambda m: m.distance), max(found, key=lambda m: m.distance)
    return described(most) if least.distance == most.distance else f"{described(least)} to {described(most)}"


def _runs(some: int, of: int) -> str:
    return f"{some} of {of} runs" if of > 1 else "its run"
