"""Columns of the two-design circuit: the orthogonal factors of Quantum-PEFT (arXiv:2503.05431).

RY and CZ are real, so the circuit is an orthogonal matrix; its first K columns are the states |0>, …, |K-1> run
through it. Cost O(K N n L). The pattern of gates is ketune.circuits.ansatz.TwoDesign.
"""

import torch
from torch import Tensor

from ketune.circuits.ansatz import TwoDesign
from ketune.circuits.layout import apply_factors, constant
from ketune.circuits.statevector import kronecker, rotation_matrices
from ketune.ground.errors import InputError


def two_design_angles(qubits: int, layers: int) -> int:
    """(2L + 1) n - 2L: the number of angles; 1 on one qubit, which has no pairs."""
    return TwoDesign(qubits, layers).angle_shape[0]


@constant
def _schedule(qubits: int, layers: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """((2L + 1, n) positions of each half layer's angles, where idle wires point past the end; (2L, N) CZ signs)."""
    design = TwoDesign(qubits, layers)
    idle = design.angle_shape[0]
    states, positions, diagonals, angle = torch.arange(1 << qubits), [list(range(qubits))], [], qubits
    for pairs in design.half_layers():
        row, diagonal = [idle] * qubits, torch.ones(1 << qubits)
        for a, b in pairs:
            row[a], row[b] = angle, angle + 1
            angle += 2
            both = (states >> (qubits - 1 - a)) & (states >> (qubits - 1 - b)) & 1
            diagonal *= 1 - 2 * both
        positions.append(row)
        diagonals.append(diagonal)
    return torch.tensor(positions, device=device), torch.stack(diagonals or [torch.ones(1)]).to(device)


def two_design_columns(angles: Tensor, qubits: int, layers: int, columns: int) -> Tensor:
    """The first `columns` K columns of the circuit's orthogonal matrix, (2**n, K), differentiable in the angles.

    Args:
        angles: ((2L + 1) n - 2L,) radians, in the order of PennyLane's `SimplifiedTwoDesign`.
        qubits: n >= 1.
        layers: L >= 0.
        columns: K, at most 2**n.

    Returns:
        (2**n, K) in the angles' dtype and device; computed in fp32 or, for float64 angles, float64.

    Raises:
        InputError: another number of angles, or more columns than the matrix has.
    """
    expected = two_design_angles(qubits, layers)
    if angles.shape != (expected,):
        raise InputError(
            f"angles: shape {tuple(angles.shape)}, but {layers} layers of {qubits} qubits need ({expected},); give it."
        )
    if not 1 <= columns <= 1 << qubits:
        raise InputError(
            f"columns: {columns}, but {qubits} qubits offer 1 to {1 << qubits}; choose fewer or add qubits."
        )
    with torch.autocast(angles.device.type, enabled=False):
        work = angles.to(torch.promote_types(angles.dtype, torch.float32))
        positions, diagonals = _schedule(qubits, layers, angles.device)
        padded = torch.cat([work, work.new_zeros(1)])[positions]  # (2L + 1, n)
        factors = kronecker(rotation_matrices("RY", padded))
        state = torch.eye(1 << qubits, columns, dtype=work.dtype, device=work.device)
        state = apply_factors(state, [factor[0] for factor in factors])
        for half in range(1, positions.shape[0]):
            state = diagonals[half - 1].to(work.dtype)[:, None] * state
            state = apply_factors(state, [factor[half] for factor in factors])
        return state.to(angles.dtype)
