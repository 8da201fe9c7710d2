"""The closed form in torch's operations: for every device and precision, and the check of the compiled kernel.

States are (N, C) with N = 2**n amplitudes of C tokens; bit k of the amplitude's index is wire k, and the two ends of an
edge along wire k of the n-cube are two views of the same memory.
"""

import torch
from torch import Tensor

from ketune.circuits.embedding import scales
from ketune.circuits.layout import constant, walsh_hadamard

CPU_CHUNK = 128  # tokens; a state of 1,024 amplitudes is then half a megabyte and stays in a core's cache
GPU_AMPLITUDES = 1 << 25  # amplitudes for each chunk on an accelerator


@constant
def _edges(qubits: int, device: torch.device) -> Tensor:
    """(2, n, N/2): for every wire the basis states with that bit 0, and, in the same order, their partners."""
    states = torch.arange(1 << qubits, device=device)
    bits = [1 << (qubits - 1 - wire) for wire in range(qubits)]
    low = torch.stack([states[(states & b) == 0] for b in bits])
    return torch.stack([low, low + torch.tensor(bits, device=device)[:, None]])


def _differences(phase: Tensor) -> Tensor:
    """Φ(a) - Φ(a ⊕ e_k) (n, N/2) for every wire k and every a with bit k 0."""
    low, high = phase[_edges(phase.shape[0].bit_length() - 1, phase.device)].unbind()
    return low - high


def _ends(state: Tensor, wire: int) -> tuple[Tensor, Tensor]:
    """Views (2**wire, N / 2**(wire+1) · C) of a state (N, C): bit `wire` 0, and 1."""
    low, high = state.view(1 << wire, 2, -1).unbind(1)
    return low, high


def _chunks(features: Tensor, size: int) -> list[slice]:
    widest = CPU_CHUNK if features.device.type == "cpu" else max(1, GPU_AMPLITUDES // size)
    return [slice(start, start + widest) for start in range(0, features.shape[0], widest)]


def _embed(unit: Tensor, send: Tensor) -> Tensor:
    """x̂ (N, C) of rows of norm 1 (C, d), whose amplitude i goes to row send[i]."""
    state = unit.new_zeros(send.shape[0], unit.shape[0])
    return walsh_hadamard(state.index_copy_(0, send[: unit.shape[1]], unit.t()))


def values(features: Tensor, phase: Tensor, send: Tensor) -> Tensor:
    """z (B, n) of features (B, d), the phases (N,), and the row (N,) that each amplitude goes to."""
    table, unit = torch.cos(_differences(phase)), features * scales(features)[:, None]
    out = features.new_empty(table.shape[0], features.shape[0])
    for part in _chunks(features, phase.shape[0]):
        state = _embed(unit[part], send)
        for wire in range(table.shape[0]):
            low, high = _ends(state, wire)
            out[wire, part] = table[wire] @ (low * high).view(table.shape[1], -1)
    return out.div_(table.shape[1]).t().contiguous()


def gradients(features: Tensor, phase: Tensor, send: Tensor, z: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    """(dL/dx (B, d), dL/dΦ (N,)) from z and dL/dz (B, n)."""
    difference, scale = _differences(phase), scales(features)[:, None]
    half, unit, along = difference.shape[1], features * scale, 2 * (grad * z).sum(1, keepdim=True)
    table, d_table, d_unit = torch.cos(difference) / half, torch.zeros_like(difference), torch.empty_like(features)
    for part in _chunks(features, phase.shape[0]):
        state, g = _embed(unit[part], send), grad[part].t().contiguous()
        d_state = torch.zeros_like(state)
        for wire in range(table.shape[0]):
            (low, high), (d_low, d_high) = _ends(state, wire), _ends(d_state, wire)
            d_table[wire].addmv_((low * high).view(half, -1), g[wire])
            weights = (table[wire, :, None] * g[wire]).view(low.shape)
            d_low.addcmul_(weights, high)
            d_high.addcmul_(weights, low)
        d_unit[part] = walsh_hadamard(d_state)[send[: features.shape[1]]].t()
    d_low = (torch.sin(difference) * d_table).view(-1) / -half
    ends = _edges(difference.shape[0], phase.device).view(-1)
    d_phase = torch.zeros_like(phase).index_add_(0, ends, torch.cat([d_low, -d_low]))
    return d_unit.sub_(along * unit).mul_(scale), d_phase
