"""A matrix as a train of four small tensors (a matrix product operator), with few parameters for many entries.

Entry (o, i) of the matrix is a product of four matrices chosen by the four digits of o and of i:
    M[o1 o2 o3 o4, i1 i2 i3 i4] = C1[o1, i1] C2[o2, i2] C3[o3, i3] C4[o4, i4],
with C1 (1, χ), C2 and C3 (χ, χ), C4 (χ, 1), χ being the bond. It knows nothing of adapters.

Source: the map of QTHA, arXiv:2503.12790; cores (out_k χ_{k+1}) × (χ_k in_k), Kaiming-normal, as in its group's code.
"""

import math

import torch
from torch import Tensor, nn

from ketune import closed_forms


class TensorTrain(nn.Module):
    """The matrix (o, i), held as four cores; never formed."""

    def __init__(self, inputs: int, outputs: int, bond: int) -> None:
        super().__init__()
        self.cores = nn.ParameterList(torch.empty(shape) for shape in closed_forms.cores(inputs, outputs, bond))
        for core in self.cores:
            nn.init.normal_(core, std=math.sqrt(2 / (core.shape[2] * core.shape[3])))

    def forward(self, vectors: Tensor) -> Tensor:
        """(R, i) → (R, o)."""
        return _contract(vectors, list(self.cores))

    def transposed(self, vectors: Tensor) -> Tensor:
        """(R, o) → (R, i)."""
        return _contract(vectors, [core.permute(3, 1, 2, 0) for core in self.cores])


def _contract(vectors: Tensor, cores: list[Tensor]) -> Tensor:
    count = vectors.shape[0]
    state, rest = vectors, vectors.shape[1]
    for core in cores:
        after, before, inner = core.shape[1:]
        rest //= inner
        state = state.reshape(-1, before, inner, rest)
        state = torch.einsum("oxci,pcir->poxr", core, state).reshape(-1, after, rest)
    return state.reshape(count, -1)
