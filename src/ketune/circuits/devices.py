"""PennyLane's devices at batch speed, through its public API. The only module that imports PennyLane, and only in use.

A device is given whole batches: token t of B and its amplitudes i are one state Σ |t>|i> x_t[i] / norm on b + n wires,
b = ceil(log2 B), whose last n wires pass the circuit. The same call with the identity as its batch returns the
circuit's unitary. Devices answer in their own complex type, so every answer is cast at the border.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ketune.circuits.embedding import scales
from ketune.circuits.gates import Gate, Gates
from ketune.ground.errors import InputError, nearest

EXTRAS = {"lightning.gpu": "gpu", "lightning.kokkos": "kokkos"}
REGISTER_CHUNK = 512  # tokens for each execution; the state (4 MB at n = 10) stays in a processor's cache


def apply(gates: Sequence[Gate], angles: Sequence[float], first_wire: int = 0, *, inputs: Sequence[float] = ()) -> None:
    """Queue PennyLane's operations for `gates` on the wires from `first_wire` on."""
    import pennylane as qml

    for gate in gates:
        wires = [first_wire + wire for wire in gate.wires]
        if gate.angle is not None:
            getattr(qml, gate.name)(angles[gate.angle], wires=wires)
        elif gate.input is not None:
            getattr(qml, gate.name)(inputs[gate.input], wires=wires)
        else:
            getattr(qml, gate.name)(wires=wires)


def make(name: str, wires: int, dtype: torch.dtype = torch.float32, **options: Any) -> Any:
    """PennyLane's device `name`.

    Raises:
        InputError: it is not installed or does not work here; the sentence says how to get it.
    """
    import numpy as np
    import pennylane as qml

    if name.startswith("lightning."):
        options["c_dtype"] = np.complex128 if dtype == torch.float64 else np.complex64
    try:
        return qml.device(name, wires=wires, **options)
    except (qml.exceptions.DeviceError, ImportError, RuntimeError, ValueError) as error:
        known = ["auto", "torch", "lightning.qubit", "lightning.gpu", "lightning.kokkos", "default.qubit"]
        extra = EXTRAS.get(name)
        remedy = f'install it with pip install "ketune[{extra}]"' if extra else "install its PennyLane plugin"
        reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
        raise InputError(
            f"device: {name!r} is not available here ({reason}); {remedy}, or choose one of {', '.join(known)}."
            f"{'' if name in known else nearest(name, known)}"
        ) from error


@lru_cache(maxsize=8)
def obstacle(name: str) -> str | None:
    """None where the device runs a two-wire circuit to its known result, else one clause: what is in the way."""
    import pennylane as qml

    try:
        device = make(name, 2)

        @qml.qnode(device, diff_method=None)
        def bell() -> Any:
            qml.Hadamard(0)
            qml.CNOT([0, 1])
            return qml.probs(wires=[0, 1])

        found = torch.as_tensor(bell()).double()
    except (InputError, qml.exceptions.DeviceError, ImportError, RuntimeError, ValueError) as error:
        return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
    right = torch.allclose(found, torch.tensor([0.5, 0, 0, 0.5], dtype=torch.float64), atol=1e-5)
    return None if right else "it returns wrong probabilities for a Bell pair"


@lru_cache(maxsize=64)
def _register(name: str, wires: int, qubits: int, dtype: torch.dtype) -> Any:
    """A QNode (vector, gates, angles) to state; the gates act on the last `qubits` of `wires` wires."""
    import pennylane as qml

    @qml.qnode(make(name, wires, dtype), interface=None, diff_method=None)
    def run(vector: Any, gates: Sequence[Gate], angles: Sequence[float]) -> Any:
        qml.StatePrep(vector, wires=range(wires), validate_norm=False)
        apply(gates, angles, wires - qubits)
        return qml.state()

    return run


def run_register(name: str, gates: Sequence[Gate], angles: Tensor, states: Tensor, chunk: int | None = None) -> Tensor:
    """The states (B, N) after `gates`, computed by the device as one state for each chunk of tokens.

    Args:
        name: PennyLane's device.
        gates: they act on n = log2 N wires.
        angles: any shape; gates point into its flattened form.
        states: (B, N), real or complex, of any norm.
        chunk: tokens for each execution; all at once by default.

    Returns:
        (B, N) complex, in the precision and on the device of `states`.
    """
    real, size, flat = states.dtype.to_real(), states.shape[1], angles.detach().reshape(-1).tolist()
    out = torch.empty(states.shape, dtype=real.to_complex(), device=states.device)
    for start in range(0, states.shape[0], chunk or states.shape[0]):
        part = states[start : start + (chunk or states.shape[0])]
        norm = torch.linalg.vector_norm(torch.view_as_real(part) if part.is_complex() else part).item()
        rows = 1 << (part.shape[0] - 1).bit_length()
        vector = torch.zeros(rows, size, dtype=out.dtype)
        vector[: part.shape[0]] = part
        torch.view_as_real(vector).mul_(1 / norm if norm else 0)
        if not norm:
            vector[0, 0] = 1  # a device needs some state; its answer is multiplied by 0 below
        run = _register(name, (rows * size).bit_length() - 1, size.bit_length() - 1, real)
        found = torch.as_tensor(run(vector.view(-1).numpy(), gates, flat)).view(rows, size)[: part.shape[0]]
        torch.view_as_real(out[start : start + part.shape[0]]).copy_(torch.view_as_real(found)).mul_(norm)
    return out


def run_phases(name: str, circuit: Gates, angles: Tensor) -> Tensor:
    """Φ (N,), up to multiples of 2π, of a circuit that is one diagonal: its state from |0…0>, in the Hadamard basis."""
    n = circuit.qubits
    hadamards = [Gate("Hadamard", (wire,)) for wire in range(n)]
    start = torch.zeros(1, 1 << n, dtype=angles.dtype, device=angles.device)
    start[0, 0] = 1
    return -torch.angle(run_register(name, [*circuit.gates(), *hadamards], angles, start)[0])


def sample(
    name: str, circuit: Gates, features: Tensor, angles: Tensor, shots: int, generator: torch.Generator
) -> Tensor:
    """⟨Z⟩ (B, n) from `shots` measurements of each row of features (B, d), sampled by the device itself."""
    import pennylane as qml

    n, gates, flat = circuit.qubits, circuit.gates(), angles.detach().reshape(-1).tolist()
    seed = int(torch.randint(1 << 31, (1,), generator=generator))
    seeded = {"seed": seed} if name.startswith(("lightning.", "default.")) else {}
    device = make(name, n, features.dtype, **seeded)

    @qml.set_shots(shots)
    @qml.qnode(device, interface=None, diff_method=None)
    def measure(vector: Any) -> Any:
        qml.StatePrep(vector, wires=range(n))
        apply(gates, flat)
        return [qml.expval(qml.PauliZ(wire)) for wire in range(n)]

    rows = torch.zeros(features.shape[0], 1 << n, dtype=torch.complex128)
    rows[:, : features.shape[1]] = features.double() * scales(features.double())[:, None]
    rows[~rows.any(1), 0] = 1  # rows of zeros have no state; the caller replaces their result
    return torch.stack([torch.stack([torch.as_tensor(z) for z in measure(row.numpy())]) for row in rows])
