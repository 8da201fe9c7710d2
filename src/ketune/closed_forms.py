"""Numbers of trained parameters in closed form, by the sizes of the map beside which they are trained.

The adapters count with it, and so does the report, which needs no torch: neither does this module.
Sources: Quantum-PEFT, arXiv:2503.05431; QTHA, arXiv:2503.12790.
"""

import math
from functools import lru_cache
from itertools import pairwise

CORES = 4  # of a tensor train


def qubits(width: int) -> int:
    """n = ceil(log2 d), at least 1: the qubits whose amplitudes hold a vector of width d."""
    return max(1, (width - 1).bit_length())


def two_design(wires: int, layers: int) -> int:
    """Angles of the two-design circuit: (2L + 1) n - 2L."""
    return (2 * layers + 1) * wires - 2 * layers


def skew_symmetric(width: int, free: int) -> int:
    """Entries of a skew-symmetric matrix with `free` columns K': N K' - K' (K' + 1)/2."""
    return width * free - free * (free + 1) // 2


def orthonormal_columns(width: int, parameterization: str, layers: int, free: int) -> int:
    """What spans the orthonormal columns of Quantum-PEFT with `width` rows, of which "taylor" has `free`."""
    return skew_symmetric(width, free) if parameterization == "taylor" else two_design(qubits(width), layers)


@lru_cache(maxsize=256)
def factors(width: int, parts: int = CORES) -> tuple[int, ...]:
    """`parts` whole numbers with product `width` and the smallest sum, largest first: 768 gives (8, 6, 4, 4)."""
    if parts == 1:
        return (width,)
    splits = [(d, *factors(width // d, parts - 1)) for d in range(1, width + 1) if width % d == 0]
    return tuple(sorted(min(splits, key=sum), reverse=True))


def cores(inputs: int, outputs: int, bond: int) -> list[tuple[int, int, int, int]]:
    """(out_k, χ_{k+1}, χ_k, in_k) of each core of a tensor train with bond χ."""
    bonds = (1, *[bond] * (CORES - 1), 1)
    return [
        (o, after, before, i)
        for o, i, (before, after) in zip(factors(outputs), factors(inputs), pairwise(bonds), strict=True)
    ]


def tensor_train(inputs: int, outputs: int, bond: int) -> int:
    """Entries of all cores."""
    return sum(math.prod(shape) for shape in cores(inputs, outputs, bond))


def inner_width(inputs: int) -> int:
    """QTHA's inner width where none is given: the power of two nearest in ratio to a 14th of its inputs, 4 at least."""
    return max(4, 2 ** round(math.log2(inputs / 14)))


def reuploading(wires: int, layers: int) -> int:
    """Angles of QTHA's quantum network: each layer two RY a qubit and, with more than one, two CRZ as well."""
    return (4 if wires > 1 else 2) * layers * wires


def qtha(inputs: int, outputs: int, rank: int, bond: int, inner: int, network: int) -> int:
    """Two tensor trains, their maps from and to the rank, the bypass, and what the network has with its map."""
    trains = tensor_train(inputs, inner, bond) + tensor_train(inner, outputs, bond)
    return trains + 2 * inner * rank + rank**2 + network
