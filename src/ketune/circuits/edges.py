"""The kernels of the closed form: embed, transform and multiply along the edges of the n-cube, batch last, in chunks.

Everything here is memory layout. States are (N, C) with N = 2**n amplitudes of C tokens; bit k of the amplitude's
index is wire k, and the two ends of an edge along wire k are two views of the same memory. Buffers and views are made
once per thread and reused: on a CPU fresh pages and fresh views cost more than the arithmetic.
"""

import threading

import torch
from torch import Tensor

from ketune.circuits.layout import groups, hadamard

CPU_CHUNK = 256  # tokens for each thread; a state of 1,024 amplitudes is then 1 MB
CPU_THREADS = 8  # beyond these the small operations do not scale
GPU_AMPLITUDES = 1 << 25  # amplitudes for each chunk on an accelerator
KEPT = 12  # workspaces for each thread; one training run needs one for each power of two up to the chunk
_local = threading.local()


class Workspace:
    """Buffers and views for chunks of exactly C tokens."""

    def __init__(self, size: int, columns: int, dtype: torch.dtype, device: torch.device) -> None:
        self.size, self.columns = size, columns
        self.qubits, half = size.bit_length() - 1, size // 2
        self.entries = torch.zeros(size + 1, columns, dtype=dtype, device=device)
        self.product = torch.empty(half, columns, dtype=dtype, device=device)
        self.flipped = self.product.t()
        first, second, self.d_state = (torch.empty(size, columns, dtype=dtype, device=device) for _ in range(3))
        stages = len(groups(self.qubits))
        self.embedded = first
        self.state, self.spare = (second, first) if stages % 2 else (first, second)
        self.d_embedded, self.free = (self.spare, self.d_state) if stages % 2 else (self.d_state, self.spare)
        self.forwards = _stages(first, second)
        self.backwards = _stages(self.d_state, self.spare)
        self.ends = [_ends(self.state, wire) for wire in range(self.qubits)]
        self.d_ends = [_ends(self.d_state, wire) for wire in range(self.qubits)]
        self.products = [self.product.view(low.shape) for low, _ in self.ends]


def _ends(state: Tensor, wire: int) -> tuple[Tensor, Tensor]:
    """Views (2**wire, N / 2**(wire+1) · C) of a state (N, C): bit `wire` 0, and 1."""
    split = state.view(1 << wire, 2, -1)
    return split[:, 0], split[:, 1]


def _stages(source: Tensor, target: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
    """(matrices, input, output) of the batched products whose sequence is the Walsh-Hadamard transform."""
    before, rest, stages = 1, source.shape[0], []
    for group in groups(source.shape[0].bit_length() - 1):
        size = 1 << group
        matrix = hadamard(size, source.dtype, source.device).expand(before, size, size)
        stages.append((matrix, source.view(before, size, -1), target.view(before, size, -1)))
        before, rest, source, target = before * size, rest // size, target, source
    return stages


def _workspace(size: int, columns: int, like: Tensor) -> Workspace:
    """A workspace for `columns` tokens: this thread's own on a CPU, a fresh one where the allocator caches anyway."""
    if like.device.type != "cpu":
        return Workspace(size, columns, like.dtype, like.device)
    kept: dict[tuple, Workspace] = _local.__dict__.setdefault("kept", {})
    key = (size, columns, like.dtype)
    if key not in kept:
        if len(kept) == KEPT:
            del kept[next(iter(kept))]
        with torch.inference_mode(False):  # else buffers first needed in inference could not serve training
            kept[key] = Workspace(size, columns, like.dtype, like.device)
    return kept[key]


def _chunks(features: Tensor, size: int) -> list[tuple[slice, Workspace]]:
    """Slices of the batch, each with a workspace at least as wide (powers of two, so that few are ever made)."""
    if features.device.type == "cpu":
        widest = max(16, CPU_CHUNK * min(torch.get_num_threads(), CPU_THREADS) * 1024 // max(size, 1024))
    else:
        widest = max(1, GPU_AMPLITUDES // size)
    batch, found = features.shape[0], []
    for start in range(0, batch, widest):
        count = min(widest, batch - start)
        columns = min(widest, 1 << (count - 1).bit_length()) if features.device.type == "cpu" else count
        found.append((slice(start, start + count), _workspace(size, columns, features)))
    return found


def _load(work: Workspace, features: Tensor, scale: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Fill the state with x̂ of features (c, d) and return the unit vectors (d, C) and their scales (C,)."""
    count, width = features.shape
    unit = work.entries[: width + 1]
    if count < unit.shape[1]:
        unit[:, count:] = 0
        scale = torch.cat([scale, scale.new_zeros(unit.shape[1] - count)])
    unit[width] = 0  # what padded amplitudes fetch
    unit[:width, :count].copy_(features.t())
    unit.mul_(scale)
    torch.index_select(unit, 0, rows.clamp(max=width), out=work.embedded)
    for matrices, source, target in work.forwards:
        torch.bmm(matrices, source, out=target)
    return unit[:width], scale


def edge_sums(features: Tensor, scale: Tensor, table: Tensor, rows: Tensor) -> Tensor:
    """z (B, n) of features (B, d) with scales (B,), w · 2/N (n, N/2), and the amplitude (N,) that each row fetches."""
    qubits, half = table.shape
    out = features.new_empty(features.shape[0], qubits)
    for part, work in _chunks(features, 2 * half):
        _load(work, features[part], scale[part], rows)
        sums = features.new_empty(qubits, work.columns)
        for wire in range(qubits):
            torch.mul(*work.ends[wire], out=work.products[wire])
            torch.mv(work.flipped, table[wire], out=sums[wire])
        out[part] = sums[:, : part.stop - part.start].t()
    return out


def edge_gradients(
    features: Tensor, scale: Tensor, table: Tensor, rows: Tensor, back: Tensor, along: Tensor, grad: Tensor
) -> tuple[Tensor, Tensor]:
    """(dL/dx (B, d), dL/d(table) (n, N/2)) from dL/dz (B, n), along = 2 Σ_k z_k dL/dz_k and each amplitude's row."""
    d_features, d_table = torch.empty_like(features), torch.zeros_like(table)
    weights, d_weights = list(table.unsqueeze(2).unbind()), list(d_table.unbind())
    for part, work in _chunks(features, 2 * table.shape[1]):
        unit, scaled = _load(work, features[part], scale[part], rows)
        count = part.stop - part.start
        g = grad.new_zeros(table.shape[0], work.columns)
        g[:, :count] = grad[part].t()
        for wire, g_wire in enumerate(g.unbind()):
            product, (low, high), (d_low, d_high) = work.products[wire], work.ends[wire], work.d_ends[wire]
            torch.mul(low, high, out=product)
            d_weights[wire].addmv_(work.product, g_wire)
            torch.mul(weights[wire], g_wire, out=work.product)
            if wire:
                d_low.addcmul_(product, high)
                d_high.addcmul_(product, low)
            else:
                torch.mul(product, high, out=d_low)
                torch.mul(product, low, out=d_high)
        for matrices, source, target in work.backwards:
            torch.bmm(matrices, source, out=target)
        unit[:, :count].mul_(along[part])
        d_unit = (
            torch.index_select(work.d_embedded, 0, back[: unit.shape[0]], out=work.free[: unit.shape[0]])
            .sub_(unit)
            .mul_(scaled)
        )
        d_features[part] = d_unit[:, :count].t()
    return d_features, d_table
