"""Named machines and their noise: by qiskit, from a machine's own calibration. Needs the extra `hardware`.

A machine is one of qiskit's fake backends, snapshots of the calibration of IBM's machines, by name, or any qiskit
backend.
"""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ketune.circuits.embedding import prepared
from ketune.circuits.gates import Gate, Gates
from ketune.circuits.layout import signs
from ketune.ground.errors import InputError, nearest

TRANSPILING = {"optimization_level": 3, "seed_transpiler": 0}
"""How circuits are transpiled: with qiskit's best effort, and repeatably."""


def library(name: str) -> Any:
    """A module of qiskit's.

    Raises:
        InputError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("qiskit", "qiskit_aer", "qiskit_ibm_runtime"):
            raise
        raise InputError(
            f"{name.split('.')[0]} is not installed, which knows the machines; install ketune's extra `hardware`, in a "
            'clone by pip install ".[hardware]".'
        ) from error


def machine(name: str | Any) -> Any:
    """The fake backend `name`, for instance "FakeTorino"; a backend is returned as it is.

    Raises:
        InputError: qiskit is not installed, or there is no such machine.
    """
    if not isinstance(name, str):
        return name
    provider = library("qiskit_ibm_runtime.fake_provider")
    known = [key for key in dir(provider) if key.startswith("Fake") and hasattr(getattr(provider, key), "target")]
    if name not in known:
        raise InputError(
            f"machine: {name!r} is none of qiskit's fake backends, such as FakeTorino or FakeManilaV2; choose one."
            f"{nearest(name, known)}"
        )
    return getattr(provider, name)()


def check_size(backend: Any, qubits: int) -> None:
    """Refuse a machine with fewer qubits than the circuit.

    Raises:
        InputError: it has too few.
    """
    if qubits > backend.num_qubits:
        raise InputError(f"machine: {backend.name} has {backend.num_qubits} qubits, but the circuit {qubits}.")


def assembled(
    qubits: int, gates: Sequence[Gate], angles: Sequence[float], *, inputs: Any = (), amplitudes: Tensor | None = None
) -> Any:
    """The gates as a circuit of qiskit's, every wire measured at its end.

    Args:
        qubits: number of wires.
        gates: in their order.
        angles: flat, radians.
        inputs: the token's angles, numbers or qiskit's parameters, where the gates take some from it.
        amplitudes: (2**qubits,) of norm 1, the state that is prepared first; |0…0> by default.
    """
    found, wires = library("qiskit").QuantumCircuit(qubits, qubits), range(qubits)
    if amplitudes is not None:
        found.prepare_state(amplitudes.numpy(), list(reversed(wires)))  # qiskit counts bits from the last
    for gate in gates:
        turn = () if gate.angle is None else (angles[gate.angle],)
        turn = turn if gate.input is None else (inputs[gate.input],)
        getattr(found, _method(gate.name))(*turn, *gate.wires)
    found.measure(wires, wires)
    return found


def _method(name: str) -> str:
    """What qiskit's QuantumCircuit calls a gate that PennyLane calls `name`."""
    return {"CNOT": "cx", "Hadamard": "h"}.get(name, name.removeprefix("Pauli").lower())


@dataclass(frozen=True)
class Noisy:
    """A machine's gates, wiring, gate errors, relaxation and read-out errors, simulated.

    Attributes:
        backend: qiskit's, whose gates and wiring circuits are transpiled to.
        simulator: Aer's, with the backend's noise.
    """

    backend: Any
    simulator: Any

    @property
    def name(self) -> str:
        """The machine's."""
        return str(self.backend.name)

    def run(
        self, circuit: Gates, gates: Sequence[Gate], inputs: Tensor, angles: Tensor, shots: int | None, seed: int
    ) -> Tensor:
        """⟨Z⟩ (B, n) of every row from `shots` executions, float64.

        Where a row enters as angles, all rows are one circuit with other numbers, transpiled once; where it enters as
        amplitudes, every row is a circuit of its own.

        Args:
            circuit: tells how a row enters.
            gates: what is run; the circuit's own gates, or those with errors between them.
            inputs: (B, d) amplitudes of any norm, rows of zeros included, or (B, n) angles.
            angles: the circuit's angles.
            shots: executions for each row.
            seed: makes the outcomes repeatable.

        Raises:
            InputError: no shots, as a machine has no exact expectations, or too few qubits.
        """
        if shots is None:
            raise InputError(f"shots: {self.name} has no exact expectations; give a number of shots, such as 1000.")
        check_size(self.backend, circuit.qubits)
        qiskit, flat, values = library("qiskit"), angles.detach().reshape(-1).tolist(), inputs.double().cpu()
        if circuit.reads_amplitudes:
            states = prepared(values, circuit.qubits)
            built = [assembled(circuit.qubits, gates, flat, amplitudes=row) for row in states]
            binds: list[dict[Any, list[float]]] = [{} for _ in built]
        else:
            names = qiskit.circuit.ParameterVector("input", values.shape[1])
            built = [assembled(circuit.qubits, gates, flat, inputs=names)]
            binds = [{name: column.tolist() for name, column in zip(names, values.t(), strict=True)}]
        run = [qiskit.transpile(each, self.backend, **TRANSPILING) for each in built]
        found = self.simulator.run(run, parameter_binds=binds, shots=shots, seed_simulator=seed).result()
        counts = torch.zeros(len(values), 1 << circuit.qubits, dtype=torch.float64)
        for row in range(len(values)):
            for outcome, count in found.get_counts(row).items():
                counts[row, int(outcome[::-1], 2)] = count  # the first wire's bit first
        return counts / shots @ signs(circuit.qubits, torch.float64, torch.device("cpu")).t()


def noisy(name: str | Any) -> Noisy:
    """The machine `name`, or a backend of qiskit's, as a device for `measure` and `as_hardware`.

    Raises:
        InputError: qiskit is not installed, or there is no such machine.
    """
    backend, aer = machine(name), library("qiskit_aer")
    return Noisy(backend, aer.AerSimulator(noise_model=aer.noise.NoiseModel.from_backend(backend)))
