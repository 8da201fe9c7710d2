"""What stands beside the runs of a report: the plan, the planted studies, and where it all comes from."""

from collections.abc import Mapping
from dataclasses import dataclass

from ketune.records.bills import Bills
from ketune.records.measured import Measured
from ketune.report import calibration, hardware, ledger, plan, shots
from ketune.report.calibration import PlantedStudy
from ketune.report.plan import Plan
from ketune.report.results import Results


@dataclass(frozen=True, kw_only=True)
class Background:
    """What stands beside the runs.

    Attributes:
        plan: None where none was made.
        planted: the planted studies that were recorded.
        bills: method → what its circuit costs on machines, where that is recorded.
        measured: (method, seed) → how likely it finds texts where its circuits are read with shots and noise.
        digests: path → MD5 of what the runs left behind, as DVC computes it.
        left_out: methods that the study lists and whose runs are not complete.
        revisions: method → commit of the code that ran it, or the commits, where its seeds came one after another;
            empty where the page belongs to the commit that it lies in.
    """

    plan: Plan | None
    planted: tuple[PlantedStudy, ...]
    bills: Mapping[str, Bills]
    measured: Mapping[tuple[str, int], Measured]
    digests: Mapping[str, str]
    left_out: tuple[str, ...]
    revisions: Mapping[str, str]


def read(results: Results) -> Background:
    """What lies in the workspace."""
    return Background(
        plan=plan.read(),
        planted=tuple(calibration.read()),
        bills=hardware.read(),
        measured=shots.read(results.settings),
        digests=ledger.digests(results),
        left_out=(),
        revisions={},
    )
