"""What a circuit costs on a named machine: by qiskit, from its own calibration. Needs the extra `hardware`."""

import math
from dataclasses import dataclass
from typing import Any

import torch

from ketune.circuits.cards import shots_for
from ketune.circuits.embedding import prepared
from ketune.circuits.gates import Gates
from ketune.circuits.machines import TRANSPILING, assembled, check_size, library, machine
from ketune.ground.errors import InputError


@dataclass(frozen=True)
class Bill:
    """What one execution and one token cost.

    Attributes:
        machine: its name.
        qubits: those of the circuit.
        two_qubit_gates: after transpiling, the preparation of the state included.
        preparation_two_qubit_gates: the part that prepares the state; 0 where the token enters as angles.
        depth: length of the longest chain of gates after transpiling.
        success: probability that no gate and no read-out fails, the product over all of them.
        shot_seconds: duration of one execution, without reset, transfer and queue.
        error: standard error of each z that the shots are for.
        shots: executions for that error without noise.
        noisy_shots: the same where failures leave z times `success`, which has to be divided out: shots / success².
        circuits_a_token: circuits that one token runs, one for each adapted map.
        token_seconds: circuits_a_token · shots · shot_seconds.
    """

    machine: str
    qubits: int
    two_qubit_gates: int
    preparation_two_qubit_gates: int
    depth: int
    success: float
    shot_seconds: float
    error: float
    shots: int
    noisy_shots: float
    circuits_a_token: int
    token_seconds: float


def _with_random_numbers(circuit: Gates, width: int | None, seed: int) -> Any:
    """The circuit with random angles, after the preparation of a random vector of `width`, as qiskit's."""
    generator = torch.Generator().manual_seed(seed)
    turns = (torch.rand(math.prod(circuit.angle_shape) + circuit.qubits, generator=generator) * 2 * math.pi).tolist()
    vector = torch.randn(1, width, generator=generator, dtype=torch.float64) if width else None
    return assembled(
        circuit.qubits,
        circuit.gates(),
        turns[circuit.qubits :],
        inputs=turns[: circuit.qubits],
        amplitudes=None if vector is None else prepared(vector, circuit.qubits)[0],
    )


def _success(circuit: Any, target: Any) -> float:
    logarithm = 0.0
    for instruction in circuit.data:
        where = tuple(circuit.find_bit(qubit).index for qubit in instruction.qubits)
        known = target[instruction.operation.name].get(where) if instruction.operation.name in target else None
        if known is not None and known.error:
            logarithm += math.log1p(-min(known.error, 1 - 1e-12))
    return math.exp(logarithm)


def bill(
    circuit: Gates,
    name: str | Any,
    *,
    width: int | None = None,
    circuits_a_token: int = 1,
    error: float = 0.05,
    seed: int = 0,
) -> Bill:
    """What `circuit` costs on a machine, as qiskit transpiles it at its highest level.

    Args:
        circuit: the gates.
        name: a machine, see `ketune.circuits.machines`.
        width: d of the vectors that are prepared, 2**n by default; without meaning where tokens enter as angles.
        circuits_a_token: circuits that one token runs.
        error: standard error of each z; what a method needs is its own affair: the z of QAA's ten qubits have a size of
            about 0.03, so that 0.05 buries them, and trained ones kept nine tenths of their gain from 0.01 on.
        seed: of the vector, the angles and qiskit's search for a layout.

    Raises:
        InputError: qiskit is not installed, there is no such machine, or its qubits are too few
            for the circuit, or the circuit's for the width.
    """
    vector = (width or 1 << circuit.qubits) if circuit.reads_amplitudes else None
    if vector is not None and not 0 < vector <= 1 << circuit.qubits:
        raise InputError(f"width: {width}; {circuit.qubits} qubits hold vectors of 1 to {1 << circuit.qubits} numbers.")
    backend, transpile = machine(name), library("qiskit").transpile
    check_size(backend, circuit.qubits)
    whole, alone = (
        transpile(_with_random_numbers(circuit, part, seed), backend, **TRANSPILING | {"seed_transpiler": seed})
        for part in (vector, None)
    )
    both, own = (part.num_nonlocal_gates() for part in (whole, alone))
    success, seconds, shots = _success(whole, backend.target), whole.estimate_duration(backend.target), shots_for(error)
    return Bill(
        machine=backend.name,
        qubits=circuit.qubits,
        two_qubit_gates=both,
        preparation_two_qubit_gates=both - own if vector else 0,
        depth=whole.depth(),
        success=success,
        shot_seconds=seconds,
        error=error,
        shots=shots,
        noisy_shots=shots / success**2,
        circuits_a_token=circuits_a_token,
        token_seconds=circuits_a_token * shots * seconds,
    )
