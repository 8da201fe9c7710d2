"""Columns of the two-design circuit: the orthogonal factors of Quantum-PEFT (arXiv:2503.05431).

RY and CZ are real, so the circuit is an orthogonal matrix; its first K columns are the states |0>, …, |K-1> run
through it. Cost O(K N n L).
"""

import torch
from torch import Tensor

from ketune.circuits.ansatz import TwoDesign
from ketune.circuits.layout import apply_factors, constant, signs
from ketune.circuits.precision import without_autocast
from ketune.circuits.statevector import kronecker, segment_matrices
from ketune.ground.errors import InputError


@constant
def _flips(circuit: TwoDesign, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(S, N, 1): the signs that the CZ gates after every segment's rotations give the basis states."""
    ones = signs(circuit.qubits, dtype, device) < 0
    found = torch.ones(len(circuit.segments), 1 << circuit.qubits, 1, dtype=dtype, device=device)
    for row, segment in enumerate(circuit.segments):
        for gate in segment.fixed:
            turned = (ones[gate.wires[0]] & ones[gate.wires[1]])[:, None]
            found[row] = torch.where(turned, -found[row], found[row])
    return found


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
    circuit = TwoDesign(qubits, layers)
    if angles.shape != circuit.angle_shape:
        raise InputError(
            f"angles: shape {tuple(angles.shape)}, but {layers} layers of {qubits} qubits need {circuit.angle_shape}; "
            "give it."
        )
    if not 1 <= columns <= 1 << qubits:
        raise InputError(
            f"columns: {columns}, but {qubits} qubits offer 1 to {1 << qubits}; choose fewer or add qubits."
        )
    with without_autocast(angles.device):
        work = angles.to(torch.promote_types(angles.dtype, torch.float32))
        factors, flips = kronecker(segment_matrices(work, circuit)), _flips(circuit, work.dtype, work.device)
        state = torch.eye(1 << qubits, columns, dtype=work.dtype, device=work.device)
        for segment in range(flips.shape[0]):
            state = flips[segment - 1] * state if segment else state
            state = apply_factors(state, [factor[segment] for factor in factors])
        return state.to(angles.dtype)
