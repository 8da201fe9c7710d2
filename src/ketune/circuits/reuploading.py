"""QTHA's quantum network as a statevector in torch: RY re-uploading, CRZ rings, Z on every wire.

The inputs are angles, not amplitudes, and differ from token to token; n = r is small, so states are kept and autograd
does the rest. Pattern: ketune.circuits.ansatz.Reuploading. Neighbouring RY gates on a wire add their angles.
"""

import torch
from torch import Tensor

from ketune.circuits.ansatz import Reuploading
from ketune.circuits.layout import constant, signs
from ketune.circuits.precision import without_autocast
from ketune.ground.errors import InputError, NotFinite


@constant
def _ring(qubits: int, step: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(n, N): by how many times its angle each CRZ (i, i + step) turns each basis state: 0, -1/2 or +1/2."""
    diagonals = signs(qubits, dtype, device)
    return torch.stack([(1 - diagonals[i]) / 2 * -diagonals[(i + step) % qubits] / 2 for i in range(qubits)])


def _rotate(state: Tensor, angles: Tensor) -> Tensor:
    """RY with angles (B or 1, n) on every wire of a state (B, N)."""
    cosine, sine = torch.cos(angles / 2), torch.sin(angles / 2)
    for wire in range(angles.shape[1]):
        split = state.view(state.shape[0], 1 << wire, 2, -1)
        low, high = split[:, :, 0], split[:, :, 1]
        c, s = cosine[:, wire, None, None], sine[:, wire, None, None]
        state = torch.stack([c * low - s * high, s * low + c * high], 2).reshape(state.shape)
    return state


def reuploading_expectations(inputs: Tensor, angles: Tensor) -> Tensor:
    """Pauli-Z expectations of QTHA's quantum network, differentiable in inputs and angles.

    Args:
        inputs: (B, n) radians, re-uploaded before every layer.
        angles: (L, 4, n): CRZ(i, i+1), RY, CRZ(i, i-1), RY; on one qubit (L, 2, 1): RY, RY.

    Returns:
        (B, n) in the inputs' dtype and device; computed in fp32 or, for float64 inputs, float64.

    Raises:
        InputError: shapes that do not fit each other, or an empty batch.
        NotFinite: inputs that are not finite (on the CPU, where nothing is compiled).
    """
    if inputs.ndim != 2 or inputs.shape[0] == 0 or inputs.shape[1] == 0:
        raise InputError(f"inputs: shape {tuple(inputs.shape)}; (B, n) with B and n at least 1 is needed, so reshape.")
    expected = Reuploading(inputs.shape[1], max(1, angles.shape[0]) if angles.ndim else 1).angle_shape
    if angles.shape != expected:
        raise InputError(
            f"angles: shape {tuple(angles.shape)}, but {expected[2]} qubits need (L, {expected[1]}, {expected[2]}); "
            "give those."
        )
    with without_autocast(inputs.device):
        seen = inputs.device.type == "cpu" and not torch.compiler.is_compiling()  # a check that reads values
        if seen and not bool(torch.isfinite(inputs).all()):
            raise NotFinite("inputs: NaN or infinity among them; rotations need finite angles, so look upstream.")
        dtype = torch.promote_types(inputs.dtype, torch.float32)
        z = _evolve(inputs.to(dtype), angles.to(dtype))
        return z.to(inputs.dtype)


def _evolve(inputs: Tensor, angles: Tensor) -> Tensor:
    batch, qubits = inputs.shape
    state = torch.zeros(batch, 1 << qubits, dtype=inputs.dtype, device=inputs.device)
    state[:, 0] = 1
    pending = torch.zeros_like(inputs)  # RY angles that have not acted yet
    for layer in angles:
        pending = pending + inputs
        for which, step in enumerate((1, -1)):
            if qubits > 1:
                turns = layer[2 * which] @ _ring(qubits, step, inputs.dtype, inputs.device)
                state = _rotate(state, pending) * torch.polar(torch.ones_like(turns), turns)
                pending = layer[2 * which + 1][None]
            else:
                pending = pending + layer[which][None]
    state = _rotate(state, pending)
    squares = torch.view_as_real(state).square().sum(-1) if state.is_complex() else state.square()
    return squares @ signs(qubits, inputs.dtype, inputs.device).t()
