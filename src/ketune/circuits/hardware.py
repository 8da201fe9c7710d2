"""What a circuit costs on a named machine, and that machine's noise: by qiskit, from the machine's own calibration.

A machine is one of qiskit's fake backends, snapshots of the calibration of IBM's machines, by name, or any qiskit
backend. Needs the extra `hardware`.
"""

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from ketune.circuits.cards import shots_for
from ketune.circuits.devices import apply, pennylane
from ketune.circuits.gates import Gates
from ketune.ground.errors import InputError, nearest


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


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("qiskit", "qiskit_aer", "qiskit_ibm_runtime"):
            raise
        raise InputError(
            f"{name.split('.')[0]} is not installed, which knows the machines; pip install pennylane-qiskit brings it."
        ) from error


def machine(name: str | Any) -> Any:
    """The fake backend `name`, for instance "FakeTorino"; a backend is returned as it is.

    Raises:
        InputError: qiskit is not installed, or there is no such machine.
    """
    if not isinstance(name, str):
        return name
    provider = _module("qiskit_ibm_runtime.fake_provider")
    known = [key for key in dir(provider) if key.startswith("Fake") and hasattr(getattr(provider, key), "target")]
    if name not in known:
        raise InputError(
            f"machine: {name!r} is none of qiskit's fake backends, such as FakeTorino or FakeManilaV2; choose one."
            f"{nearest(name, known)}"
        )
    return getattr(provider, name)()


def noisy(name: str | Any) -> Callable[..., Any]:
    """A function from a number of wires and a seed to a device with a machine's gates, wiring and noise, simulated."""
    backend = machine(name)
    _module("qiskit_aer")  # simulates it

    def device(wires: int, seed: int | None = None) -> Any:
        seeds = {} if seed is None else {"seed_transpiler": seed, "simulator": {"seed_simulator": seed}}
        return pennylane().device("qiskit.remote", wires=wires, backend=backend, **seeds)

    return device


def _qiskit_circuit(circuit: Gates, width: int | None, seed: int) -> Any:
    """The circuit with random angles and all wires measured, after the preparation of a random vector of `width`."""
    qiskit, qasm2, qml = _module("qiskit"), _module("qiskit.qasm2"), pennylane()
    generator, wires = torch.Generator().manual_seed(seed), range(circuit.qubits)
    with qml.tape.QuantumTape() as tape:
        turns = torch.rand(math.prod(circuit.angle_shape) + circuit.qubits, generator=generator) * 2 * math.pi
        apply(circuit.gates(), turns[circuit.qubits :].tolist(), inputs=turns[: circuit.qubits].tolist())
    text = qml.to_openqasm(tape, wires=qml.wires.Wires(wires), rotations=False)
    found = qiskit.QuantumCircuit(circuit.qubits, circuit.qubits)
    if width:
        vector = torch.zeros(1 << circuit.qubits, dtype=torch.float64)
        vector[:width] = torch.randn(width, generator=generator, dtype=torch.float64)
        found.prepare_state((vector / vector.norm()).numpy(), list(reversed(wires)))  # qiskit counts bits from the last
    return found.compose(qasm2.loads(text, custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS))


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
        name: a machine, see `machine`.
        width: d of the vectors that are prepared, 2**n by default; without meaning where tokens enter as angles.
        circuits_a_token: circuits that one token runs.
        error: standard error of each z.
        seed: of the vector, the angles and qiskit's search for a layout.

    Raises:
        InputError: qiskit is not installed, there is no such machine, or it has too few qubits.
    """
    backend, transpile = machine(name), _module("qiskit").transpile
    if circuit.qubits > backend.num_qubits:
        raise InputError(f"machine: {backend.name} has {backend.num_qubits} qubits, but the circuit {circuit.qubits}.")
    prepared = (width or 1 << circuit.qubits) if circuit.reads_amplitudes else None
    whole, alone = (
        transpile(_qiskit_circuit(circuit, part, seed), backend, optimization_level=3, seed_transpiler=seed)
        for part in (prepared, None)
    )
    both, own = (part.num_nonlocal_gates() for part in (whole, alone))
    success, seconds, shots = _success(whole, backend.target), whole.estimate_duration(backend.target), shots_for(error)
    return Bill(
        machine=backend.name,
        qubits=circuit.qubits,
        two_qubit_gates=both,
        preparation_two_qubit_gates=both - own if prepared else 0,
        depth=whole.depth(),
        success=success,
        shot_seconds=seconds,
        error=error,
        shots=shots,
        noisy_shots=shots / success**2,
        circuits_a_token=circuits_a_token,
        token_seconds=circuits_a_token * shots * seconds,
    )
