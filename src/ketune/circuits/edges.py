"""The closed form in torch's operations: for every device and precision, and the check of the compiled kernel.

States are (N, C) with N = 2**n amplitudes of C tokens; bit k of the amplitude's index is wire k, and the two ends of an
edge along wire k of the n-cube are two views of the same memory.
"""

import torch
from torch import Tensor

from ketune.circuits.embedding import scales
from ketune.circuits.layout import constant, groups, hadamard

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


def _chunks(features: Tensor, size: int) -> list[slice]:
    widest = CPU_CHUNK if features.device.type == "cpu" else max(1, GPU_AMPLITUDES // size)
    return [slice(start, start + widest) for start in range(0, features.shape[0], widest)]


class Workspace:
    """Buffers and their views for chunks of C tokens: fresh memory and fresh views cost more than the arithmetic."""

    def __init__(self, size: int, columns: int, like: Tensor) -> None:
        self.embedded, self.spare, self.d_state = (like.new_zeros(size, columns) for _ in range(3))
        self.product = like.new_empty(size // 2, columns)
        wires = range(size.bit_length() - 1)
        odd = len(groups(len(wires))) % 2  # where the transform ends
        self.state, self.free = (self.spare, self.embedded) if odd else (self.embedded, self.spare)
        self.ends = [self.state.view(1 << wire, 2, -1).unbind(1) for wire in wires]
        self.d_ends = [self.d_state.view(1 << wire, 2, -1).unbind(1) for wire in wires]

    @staticmethod
    def transform(source: Tensor, target: Tensor) -> Tensor:
        """The Walsh-Hadamard transform of `source`, which is overwritten; it ends up there or in `target`."""
        before = 1
        for group in groups(source.shape[0].bit_length() - 1):
            size = 1 << group
            factor = hadamard(size, source.dtype, source.device).expand(before, size, size)
            torch.bmm(factor, source.view(before, size, -1), out=target.view(before, size, -1))
            before, source, target = before * size, target, source
        return source

    def load(self, unit: Tensor, send: Tensor) -> None:
        """Fill the state with x̂ of rows of norm 1 (C, d), whose amplitude i goes to row send[i]."""
        self.embedded.zero_()[send[: unit.shape[1]]] = unit.t()
        self.transform(self.embedded, self.spare)


def values(features: Tensor, phase: Tensor, send: Tensor) -> Tensor:
    """z (B, n) of features (B, d), the phases (N,), and the row (N,) that each amplitude goes to."""
    difference, unit = _differences(phase), features * scales(features)[:, None]
    table, work = torch.cos(difference) / difference.shape[1], None
    out = features.new_empty(table.shape[0], features.shape[0])
    for part in _chunks(features, phase.shape[0]):
        if work is None or work.state.shape[1] != unit[part].shape[0]:
            work = Workspace(phase.shape[0], unit[part].shape[0], features)
        work.load(unit[part], send)
        for wire, (low, high) in enumerate(work.ends):
            torch.mul(low, high, out=work.product.view(low.shape))
            out[wire, part] = table[wire] @ work.product
    return out.t().contiguous()


def gradients(features: Tensor, phase: Tensor, send: Tensor, z: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    """(dL/dx (B, d), dL/dΦ (N,)) from z and dL/dz (B, n)."""
    difference, scale = _differences(phase), scales(features)[:, None]
    unit, along, d_unit = features * scale, 2 * (grad * z).sum(1, keepdim=True), torch.empty_like(features)
    table, d_table, work = torch.cos(difference) / difference.shape[1], torch.zeros_like(difference), None
    for part in _chunks(features, phase.shape[0]):
        if work is None or work.state.shape[1] != unit[part].shape[0]:
            work = Workspace(phase.shape[0], unit[part].shape[0], features)
        work.load(unit[part], send)
        work.d_state.zero_()
        for wire, g in enumerate(grad[part].t().contiguous()):
            (low, high), (d_low, d_high) = work.ends[wire], work.d_ends[wire]
            product = torch.mul(low, high, out=work.product.view(low.shape))
            d_table[wire].addmv_(work.product, g)
            torch.mul(table[wire, :, None], g, out=work.product)
            d_low.addcmul_(product, high)
            d_high.addcmul_(product, low)
        d_unit[part] = work.transform(work.d_state, work.free)[send[: features.shape[1]]].t()
    d_low = (torch.sin(difference) * d_table).view(-1) / -difference.shape[1]
    d_phase = torch.zeros_like(phase)
    d_phase.index_add_(0, _edges(difference.shape[0], phase.device).view(-1), torch.cat([d_low, -d_low]))
    return d_unit.sub_(along * unit).mul_(scale), d_phase
