"""PennyLane's devices, through its public API. The only module that imports PennyLane, and only in use.

For exact evaluation a device is given whole batches: token t of B and its amplitudes i are one state
Σ |t>|i> x_t[i] / norm on b + n wires, b = ceil(log2 B), whose last n wires pass the circuit. The same call with the
identity as its batch returns the circuit's unitary. Devices answer in their own complex type, so every answer is cast
at the border.
"""

import inspect
import math
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy
import torch
from torch import Tensor

from ketune.circuits.gates import Gate, Gates
from ketune.ground.errors import InputError, nearest

PLUGINS = {
    "lightning.gpu": "pennylane-lightning-gpu",
    "lightning.kokkos": "pennylane-lightning-kokkos",
    "qiskit.aer": "pennylane-qiskit",
    "qiskit.basicsim": "pennylane-qiskit",
}
"""The package that brings a device; ketune's extras gpu, kokkos and hardware ask for the releases that were tried."""
SEEDS = {"lightning.": "seed", "default.": "seed", "qiskit.aer": "seed_simulator", "qiskit.basicsim": "seed_simulator"}
"""What the option for a seed is called, by how the device's name begins."""
KNOWN = ("auto", "torch", "lightning.qubit", "lightning.gpu", "lightning.kokkos", "default.qubit")
REGISTER_CHUNK = 512  # tokens for each execution; the state (4 MB at n = 10) stays in a processor's cache

Device = str | Callable[..., Any] | Any
"""A name of PennyLane's, a function from a number of wires (and `seed`, if it takes one) to a device, or a device."""


def pennylane() -> Any:
    """The module.

    Raises:
        InputError: it is not installed.
    """
    try:
        import pennylane
    except ModuleNotFoundError as error:
        if error.name != "pennylane":
            raise
        raise InputError(
            "device: PennyLane is not installed, so only 'torch' evaluates circuits here; choose that, or pip install "
            "pennylane pennylane-lightning."
        ) from error
    return pennylane


def apply(gates: Sequence[Gate], angles: Sequence[float], first_wire: int = 0, *, inputs: Sequence[float] = ()) -> None:
    """Queue PennyLane's operations for `gates` on the wires from `first_wire` on."""
    qml = pennylane()
    for gate in gates:
        wires = [first_wire + wire for wire in gate.wires]
        if gate.angle is not None:
            getattr(qml, gate.name)(angles[gate.angle], wires=wires)
        elif gate.input is not None:
            getattr(qml, gate.name)(inputs[gate.input], wires=wires)
        else:
            getattr(qml, gate.name)(wires=wires)


def label(device: Device) -> str:
    """What a message calls the device."""
    return device if isinstance(device, str) else str(getattr(device, "name", None) or device)


def make(device: Device, wires: int, dtype: torch.dtype = torch.float32, seed: int | None = None) -> Any:
    """PennyLane's device for `wires` wires.

    Raises:
        InputError: it is not installed, does not work here or has too few wires; the sentence says what to do.
    """
    qml = pennylane()
    if isinstance(device, str):
        return _named(device, wires, dtype, seed)
    seeded = callable(device) and "seed" in inspect.signature(device).parameters
    if seed is not None and not seeded:
        warnings.warn(f"seed: {label(device)} takes none and keeps its own randomness.", stacklevel=2)
    if isinstance(device, qml.devices.Device):
        found = device
    else:
        found = device(wires, seed=seed) if seeded else device(wires)
    if not isinstance(found, qml.devices.Device):
        raise InputError(f"device: {label(device)} gave {found!r}, which is no PennyLane device; return one.")
    if found.wires is not None and len(found.wires) < wires:
        raise InputError(
            f"device: {label(found)} has {len(found.wires)} wires, but the circuit needs {wires}; "
            "make it larger, or give a function from the number of wires to a device."
        )
    return found


def _named(name: str, wires: int, dtype: torch.dtype, seed: int | None) -> Any:
    qml = pennylane()
    options: dict[str, Any] = {}
    if name.startswith("lightning."):
        options["c_dtype"] = numpy.complex128 if dtype == torch.float64 else numpy.complex64
    if seed is not None:
        option = next((option for start, option in SEEDS.items() if name.startswith(start)), None)
        if option is None:
            warnings.warn(f"seed: it is not known how {name} is seeded, so equal runs may differ.", stacklevel=3)
        else:
            options[option] = seed
    try:
        return qml.device(name, wires=wires, **options)
    except (qml.exceptions.DeviceError, ImportError, RuntimeError, ValueError, TypeError) as error:
        plugin = PLUGINS.get(name)
        remedy = f"install it with pip install {plugin}" if plugin else "install its PennyLane plugin"
        raise InputError(
            f"device: {name!r} is not available here ({_reason(error)}); {remedy}, or choose one of "
            f"{', '.join(KNOWN)}.{'' if name in KNOWN else nearest(name, KNOWN)}"
        ) from error


def _reason(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__


@lru_cache(maxsize=8)
def obstacle(name: str) -> str | None:
    """None where the device carries out a register of two tokens exactly, else one clause: what is in the way."""
    gate, angle = Gate("RX", (0,), angle=0), torch.tensor([0.7], dtype=torch.float64)
    states = torch.tensor([[1, 0], [0.6, 0.8]], dtype=torch.float64)
    try:
        found = run_register(name, [gate], angle, states)
    except InputError as error:
        return _reason(error)
    except Exception as error:  # a plugin's own: whatever it raises, it cannot be trained on
        return f"it returns no state vector: {_reason(error)}"
    c, s = math.cos(0.35), -1j * math.sin(0.35)
    wanted = states.to(found.dtype) @ torch.tensor([[c, s], [s, c]], dtype=found.dtype)
    return None if torch.allclose(found, wanted, atol=1e-5) else "it returns a wrong state"


@lru_cache(maxsize=64)
def _register(name: str, wires: int, qubits: int, dtype: torch.dtype) -> Any:
    """A QNode (vector, gates, angles) to state; the gates act on the last `qubits` of `wires` wires."""
    qml = pennylane()

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
