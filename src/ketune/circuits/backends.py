"""Which device evaluates a circuit, and how: `auto` is decided here, once, and says what it took and why.

Knows the names of devices and modes, not what happens inside them.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ketune.circuits import devices, modes, native
from ketune.circuits.closed_form import closed_form, eager
from ketune.circuits.gates import Gates
from ketune.circuits.parity import beyond
from ketune.circuits.statevector import general
from ketune.ground.errors import InputError, nearest

TORCH_MODES = {"closed_form": closed_form, "eager": eager, "statevector": general}
PENNYLANE_MODES = {"register": modes.register, "choi": modes.choi, "phase": modes.phase}
HOW = {
    "closed_form": "exact closed form of an RX + CNOT circuit, batched",
    "eager": "the closed form in torch's operations, without the compiled kernel",
    "statevector": "exact statevectors, batched",
    "register": "a chunk of tokens is one state, the backward pass one reversed circuit",
    "choi": "the device returns the circuit's unitary, tokens are matrix products",
    "phase": "the device evaluates the circuit's phases, tokens are contracted classically",
}
CHOI_FROM = 256  # tokens; below, an accelerator is given the tokens themselves
CHOI_QUBITS = 13  # 2 n wires: 26, half a gigabyte


@dataclass(frozen=True)
class Backend:
    """What evaluates a circuit.

    Attributes:
        name: "torch" or the name of PennyLane's device.
        mode: how a batch is brought to it, a key of HOW.
        why: what `auto` took it for, in brackets, or nothing.
    """

    name: str
    mode: str
    why: str = ""

    @property
    def description(self) -> str:
        """One line for logs and records; what it says of the kernel may have it built."""
        return f"{self.name}, {self.mode}: {HOW[self.mode]}{_kernel(self.mode)}{self.why}"

    def evaluate(self, features: Tensor, angles: Tensor, circuit: Gates) -> Tensor:
        """z (B, n) of features (B, d) and angles, in one working dtype, differentiable in both."""
        if self.name == "torch":
            return TORCH_MODES[self.mode](features, angles, circuit)
        return _on_device(self.mode, features, angles, circuit, self.name)


@torch.compiler.disable
def _on_device(mode: str, features: Tensor, angles: Tensor, circuit: Gates, name: str) -> Tensor:
    return PENNYLANE_MODES[mode](features, angles, circuit, name)


def resolve(device: str, circuit: Gates, mode: str | None = None, *, batch: int | None = None) -> Backend:
    """The backend that `device` stands for.

    Args:
        device: "auto" (lightning.gpu where it works, else torch), "torch", or any device name of PennyLane.
        circuit: decides whether the closed form applies.
        mode: "closed_form", "eager" (the same without the compiled kernel) or "statevector" for torch; "register",
            "choi" or "phase" for PennyLane; by default the closed form where it applies; choi on lightning.gpu from
            CHOI_FROM tokens on; register elsewhere.
        batch: number of tokens, or None for a training batch.

    Raises:
        InputError: the device is not available here, or the mode does not exist or does not fit the circuit.
    """
    large = batch is None
    if batch is not None and batch >= CHOI_FROM:  # a branch, as the size of a compiled graph's batch is no plain number
        large = True
    return Backend(*_resolve(device, circuit, mode, large))


@torch.compiler.assume_constant_result  # so that only plain strings enter a compiled graph
def _resolve(device: str, circuit: Gates, mode: str | None, large: bool) -> tuple[str, str, str]:
    return _decide(device, circuit, mode, large)


@lru_cache(maxsize=128)
def _decide(device: str, circuit: Gates, mode: str | None, large: bool) -> tuple[str, str, str]:
    name, why = _choose(device, mode)
    known = TORCH_MODES if name == "torch" else PENNYLANE_MODES
    if mode is None:
        if name == "torch":
            mode = "statevector" if beyond(circuit) else "closed_form"
        else:
            mode = "choi" if name == "lightning.gpu" and large and circuit.qubits <= CHOI_QUBITS else "register"
    _check_mode(mode, name, circuit, known)
    if name != "torch":
        _check_exact(name)
    return name, mode, why


def _check_exact(name: str) -> None:
    devices.make(name, 1)  # refuses what is not here
    if reason := devices.obstacle(name):
        raise InputError(
            f"device: {name!r} cannot be trained on, as {reason}; it can be measured, by "
            f"ketune.as_hardware(model, shots=1000, device={name!r}), and training takes 'auto' or 'lightning.qubit'."
        )


def _kernel(mode: str) -> str:
    """Which form of the closed form a CPU takes, and why not the faster one."""
    if mode not in ("closed_form", "phase"):
        return ""
    reason = native.obstacle(torch.float32)
    return f"; on a CPU in torch's operations, as {reason}" if reason else "; on a CPU by a compiled kernel"


def _choose(device: str, mode: str | None) -> tuple[str, str]:
    """(device, " (auto: why)" or nothing)."""
    if device != "auto":
        return device, ""
    if mode in TORCH_MODES:
        return "torch", " (auto: the mode is torch's own)"
    if not torch.cuda.is_available():
        if mode in PENNYLANE_MODES:
            return "lightning.qubit", " (auto: the mode is PennyLane's, and there is no CUDA device)"
        return "torch", " (auto: there is no CUDA device for lightning.gpu)"
    reason = devices.obstacle("lightning.gpu")
    if reason is None:
        return "lightning.gpu", " (auto: a probe circuit ran on it)"
    if mode in PENNYLANE_MODES:
        return "lightning.qubit", f" (auto: the mode is PennyLane's, and lightning.gpu does not work here: {reason})"
    return "torch", f" (auto: lightning.gpu does not work here: {reason})"


def _check_mode(mode: str, name: str, circuit: Gates, known: dict) -> None:
    if mode not in known:
        raise InputError(f"mode: {mode!r} is none of {', '.join(known)} on {name}; choose one.{nearest(mode, known)}")
    if mode in ("closed_form", "eager", "phase") and beyond(circuit):
        other = "statevector" if name == "torch" else "register"
        raise InputError(f"mode: {mode!r} covers RX and CNOT, but the circuit has {beyond(circuit)}; use {other!r}.")
    if mode == "choi" and circuit.qubits > CHOI_QUBITS:
        raise InputError(
            f"mode: 'choi' holds 4**n numbers, at most n = {CHOI_QUBITS}, not {circuit.qubits}; use 'register'."
        )
