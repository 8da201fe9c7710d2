"""Published statements on numbers of parameters, read on closed forms: exact, whatever a run shows.

LoRA: arXiv:2106.09685, Eq. 3.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from ketune import closed_forms, published
from ketune.report.cells import number
from ketune.report.readings import Finding, Found, untestable

WIDTHS = tuple(2**k for k in range(6, 14))  # 64 to 8,192
RANKS = (4, 8, 16)  # qubits of QTHA, which are simulated
BONDS = (2, 4, 8)
RELEASED_INNER = 256  # of QTHA's released code, at every width
WIDTH, BLOCKS = 768, 12  # of GPT-Neo-125M
SAVED = 0.76
NOT_RUN = {"rank": 4, "layers": 1, "parameterization": "pauli", "intrinsic_rank": None}
"""The setting of Quantum-PEFT that is counted where it did not run."""


def lora(width: int, rank: int) -> int:
    """Two maps between width and rank."""
    return 2 * width * rank


def qtha(width: int, rank: int, bond: int, inner: int) -> int:
    """QTHA with a quantum network of one layer."""
    return closed_forms.qtha(width, width, rank, bond, inner, closed_forms.reuploading(rank, 1) + rank**2)


def savings() -> dict[tuple[int, int, int, bool], float]:
    """(width, rank, bond, inner width grows) → what QTHA saves of LoRA's parameters at equal rank, 1 being all."""
    return {
        (width, rank, bond, grows): 1 - qtha(width, rank, bond, inner) / lora(width, rank)
        for grows in (True, False) for rank in RANKS for bond in BONDS for width in WIDTHS
        for inner in [closed_forms.inner_width(width) if grows else RELEASED_INNER]
    }  # fmt: skip


OURS = {
    "lora": BLOCKS * 2 * lora(WIDTH, 4),
    "prefix": BLOCKS * 30 * 2 * WIDTH,
    "qaa": BLOCKS * (10 * 2**10 + 10),
}
"""What the settings of arXiv:2509.16244 give on GPT-Neo-125M, by closed form."""


def published_counts(found: Found) -> Finding:
    """Table 1's parameters are those of one setting, which the paper states in part."""
    told = [f"{found.results.title(method)} {count:,}" for method, count in OURS.items()]
    same = all(published.ROWS[method].parameters == count for method, count in OURS.items())
    sentence = (
        f"Rank 4, 30 virtual tokens and 1,024 rows for each of {BLOCKS} attention blocks, which the paper states in "
        f"part, give {', '.join(told)}; of QAA's, {BLOCKS * 10 * (2**10 - WIDTH):,} get no gradient."
    )
    return Finding("holds" if same else "contradicted", sentence)


def published_ranks(found: Found) -> Finding:
    """SoRA's parameters are those of some number of whole ranks."""
    each, printed = lora(WIDTH, 1), published.ROWS["sora"].parameters
    whole, rest = divmod(printed, each)
    sentence = f"A rank of a map has {each:,} weights: {printed:,} are {whole} ranks and {rest:,} weights."
    return Finding("contradicted" if rest else "holds", sentence)


def logarithmic(found: Found) -> Finding:
    """Quantum-PEFT's parameters grow by a constant with each doubling of the width."""
    ran = "quantum_peft" in found.results.methods
    counts = quantum_peft(found.results.settings.sections["quantum_peft"] if ran else NOT_RUN)
    added = {b - a for a, b in pairwise(counts)}
    first, last = WIDTHS[0], WIDTHS[-1]
    setting = "In this study's setting" if ran else "At rank 4, with one layer of Pauli rotations,"
    sentence = (
        f"{setting} a square map of width {first:,} has {counts[0]:,} parameters and one of width "
        f"{last:,} has {counts[-1]:,}; LoRA of rank 1 has {lora(first, 1):,} and {lora(last, 1):,}."
    )
    return Finding("holds" if len(added) == 1 else "contradicted", sentence)


def quantum_peft(section: Mapping[str, Any]) -> list[int]:
    """Parameters beside a square map of each of `WIDTHS`, with the settings of a section."""
    rank, kind, free = section["rank"], section["parameterization"], section["intrinsic_rank"] or section["rank"]
    columns = [closed_forms.orthonormal_columns(width, kind, section["layers"], free) for width in WIDTHS]
    return [2 * each + rank for each in columns]  # U, V and the diagonal


def saving(found: Found) -> Finding:
    """QTHA has 76 % fewer parameters than LoRA: here, and in which settings at all."""
    results, scanned = found.results, savings()
    enough = [setting for setting, saved in scanned.items() if saved >= SAVED]
    narrowest, rank, bond, _ = min(enough)
    scan = (
        f"of {len(scanned)} settings by width, rank, bond and inner width {len(enough)} save 76 % or more, the "
        f"narrowest at width {narrowest:,} with rank {rank} and bond {bond}"
    )
    if absent := [method for method in ("qtha", "lora") if method not in results.methods]:
        return untestable(f"{results.named(absent)} did not run; by closed form, {scan}")
    ours, theirs = results.trainable("qtha"), results.trainable("lora")
    fewer = number(100 * (ours / theirs - 1), 0, signed=True)
    sentence = f"Here QTHA trains {ours:,} parameters and LoRA {theirs:,} ({fewer} %); {scan}."
    return Finding("holds" if 1 - ours / theirs >= SAVED else "contradicted", sentence)
