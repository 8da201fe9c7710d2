"""Trained parameters beside one square map against width, rank and bond: what QTHA saves of LoRA, by closed form.

LoRA: arXiv:2106.09685, Eq. 3.
"""

from ketune import closed_forms

WIDTHS = tuple(2**k for k in range(6, 14))  # 64 to 8,192
RANKS = (4, 8, 16)  # qubits of QTHA, which are simulated
BONDS = (2, 4, 8)
RELEASED_INNER = 256  # of QTHA's released code, at every width


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
