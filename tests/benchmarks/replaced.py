"""The decision rule that ours replaced, as far as a simulation needs it: to show what was gained.

Seeds enter by Student's t with S - 1 degrees of freedom and each comparison's own variance, references by a normal
deviate beside it (there by a bootstrap), and Holm's correction covers all 18 comparisons of the study's table.
"""

import numpy as np
from scipy.special import stdtr

from ketune.statistics import Contrast, Panel
from ketune.statistics.crossed import Crossed, crossed
from ketune.statistics.holm import holm

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(64)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


def words(panel: Panel, family: list[Contrast], alpha: float) -> dict[Contrast, str]:
    """better, worse or not distinguishable, of losses."""
    tables = {one: crossed(panel.values[one.method] - panel.values[one.other]) for one in family}
    _, adjusted = holm([_p_value(table) for table in tables.values()], alpha)
    return {
        one: "not distinguishable" if p >= alpha else "better" if table.by_seed.mean() < 0 else "worse"
        for (one, table), p in zip(tables.items(), adjusted, strict=True)
    }


def _p_value(table: Crossed) -> float:
    """Two-sided: how often √(V/S) t + √((B - E)/SP) z lies farther out than the difference, z by quadrature."""
    observed = abs(float(table.by_seed.mean()))
    spread = np.sqrt(table.between_seeds / table.seeds)
    shifts = np.sqrt(max(0.0, sum(variance for variance, _ in table.prompt_parts()))) * _NODES
    above, below = (stdtr(table.seeds - 1, (sign * shifts - observed) / spread) for sign in (1, -1))
    return float(np.clip(_WEIGHTS @ (above + below), 0.0, 1.0))
