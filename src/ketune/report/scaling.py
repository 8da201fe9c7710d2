"""Trained parameters in closed form against width, rank and bond, beside one square map; the tests hold them to the
adapters' own counts.

Sources: LoRA, arXiv:2106.09685, Eq. 3; Quantum-PEFT, arXiv:2503.05431; QTHA, arXiv:2503.12790.
"""

import math

WIDTHS = tuple(2**k for k in range(6, 14))  # 64 to 8,192
RANKS = (4, 8, 16)  # qubits of QTHA, which are simulated
BONDS = (2, 4, 8)
PARTS = 4  # cores of a tensor train
RELEASED_INNER = 256  # of QTHA's released code, at every width


def lora(width: int, rank: int) -> int:
    """Two maps between width and rank."""
    return 2 * width * rank


def quantum_peft(width: int, rank: int, layers: int) -> int:
    """Angles of U and of V, and the diagonal, with the two-design circuit ("pauli")."""
    qubits = (width - 1).bit_length()
    return 2 * ((2 * layers + 1) * qubits - 2 * layers) + rank


def quantum_peft_series(width: int, rank: int, free: int) -> int:
    """Entries of two skew-symmetric matrices with `free` columns, and the diagonal, with the exponential ("taylor")."""
    return 2 * (width * free - free * (free + 1) // 2) + rank


def qtha(width: int, rank: int, bond: int, inner: int, layers: int = 1) -> int:
    """Two tensor trains, their maps from and to the rank, the bypass, and the quantum network with its map."""
    return 2 * _train(width, inner, bond) + 2 * inner * rank + 2 * rank**2 + 4 * layers * rank


def inner(width: int) -> int:
    """QTHA's inner width here: the power of two nearest to a fourteenth of the width, 4 at least."""
    return max(4, 2 ** round(math.log2(width / 14)))


def _train(outputs: int, inputs: int, bond: int) -> int:
    """Entries of a tensor train between widths that are powers of two."""
    bonds = (1, *[bond] * (PARTS - 1), 1)
    sides = zip(_factors(outputs), _factors(inputs), strict=True)
    return sum(o * i * bonds[k] * bonds[k + 1] for k, (o, i) in enumerate(sides))


def _factors(width: int) -> list[int]:
    """Four powers of two with that product and the smallest sum, largest first."""
    each, more = divmod(width.bit_length() - 1, PARTS)
    return [2 ** (each + (k < more)) for k in range(PARTS)]


def savings() -> dict[tuple[int, int, int, bool], float]:
    """(width, rank, bond, inner width grows) → what QTHA saves of LoRA's parameters at equal rank, 1 being all."""
    return {
        (width, rank, bond, grows): 1 - qtha(width, rank, bond, inner(width) if grows else RELEASED_INNER)
        / lora(width, rank)
        for grows in (True, False) for rank in RANKS for bond in BONDS for width in WIDTHS
    }  # fmt: skip
