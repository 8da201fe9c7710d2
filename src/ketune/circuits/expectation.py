"""One function from features and angles to Pauli-Z expectations, whatever evaluates the circuit.

It checks the input, keeps the state in fp32 or better, and offers two exact gradients of the angles: the adjoint
method, and the parameter-shift rule of arXiv:2509.16244, Eq. 15,

    ∂z/∂θ_j = ½ [z(θ + π/2 e_j) - z(θ - π/2 e_j)]

(the inputs' gradient is the adjoint one in both).
"""

import math
from typing import Any

import torch
from torch import Tensor

from ketune.circuits.backends import Backend, resolve
from ketune.circuits.gates import KINDS, Gates
from ketune.circuits.parity import fact
from ketune.circuits.precision import without_autocast
from ketune.ground.errors import InputError, nearest

GRADIENTS = ("adjoint", "parameter_shift")


def expectations(
    features: Tensor,
    angles: Tensor,
    circuit: Gates,
    device: str = "auto",
    *,
    mode: str | None = None,
    gradient: str = "adjoint",
) -> Tensor:
    """⟨Z_k⟩ of every qubit k after the circuit, for a batch of vectors embedded as amplitudes.

    Rows of zeros have no state; their expectations are 0 and so is their gradient. Scale and sign of a row do not
    matter: z(c x) = z(x) for c ≠ 0.

    Args:
        features: (B, d) real, any float dtype, d <= 2**n; padded with zeros and normalised here.
        angles: circuit.angle_shape, radians.
        circuit: the gates.
        device: "auto", "torch", or a device name of PennyLane; see `resolve`, which tells what "auto" took.
        mode: how the batch is brought to the device; see `resolve`.
        gradient: "adjoint" or "parameter_shift"; equal results, the latter costs two evaluations for every angle.

    Returns:
        (B, n) in the features' dtype and device; computed in fp32, or float64 for float64 features, without autocast.

    Raises:
        InputError: NaN or infinity in the features (on the CPU), an empty batch, widths that do not fit, an unknown or
            absent device, mode or gradient.
    """
    check(features, angles, circuit)
    if not _reads_amplitudes(circuit):
        raise InputError(
            "circuit: its tokens enter as angles; take reuploading_expectations, or measure for shots and noise."
        )
    if reason := _beyond(circuit):
        raise InputError(
            f"circuit: {reason}, whose gradient is not covered; give each rotation one wire and an angle of its own."
        )
    if gradient not in GRADIENTS:
        raise InputError(
            f"gradient: {gradient!r} is none of {', '.join(GRADIENTS)}; choose one.{nearest(gradient, GRADIENTS)}"
        )
    dtype = features.dtype if features.dtype in (torch.float32, torch.float64) else torch.float32
    with without_autocast(features.device):
        x, theta = features.to(dtype), angles.to(features.device, dtype)
        backend = resolve(device, circuit, mode, batch=features.shape[0])
        if gradient == "parameter_shift":
            return ParameterShift.apply(x, theta, backend, circuit).to(features.dtype)
        return backend.evaluate(x, theta, circuit).to(features.dtype)


def check(features: Tensor, angles: Tensor, circuit: Gates) -> None:
    """Raise an InputError where the circuit's gates make no sense, or where shapes or types do not fit it."""
    if flaw := _flaw(circuit):
        raise InputError(f"circuit: {flaw}")
    if not features.is_floating_point():
        raise InputError(f"features: dtype {features.dtype}; real floating point numbers are needed, so convert them.")
    if features.ndim != 2 or features.shape[0] == 0:
        raise InputError(
            f"features: shape {tuple(features.shape)}; (B, d) with at least one row is needed, so reshape."
        )
    width, least, most = features.shape[1], 1, 1 << circuit.qubits
    if not _reads_amplitudes(circuit):
        least = most = circuit.qubits
    if not least <= width <= most:
        raise InputError(
            f"features: width {width}, but {circuit.qubits} qubits hold {least} to {most}; take a circuit for {width}."
        )
    if tuple(angles.shape) != circuit.angle_shape:
        raise InputError(f"angles: shape {tuple(angles.shape)}; the circuit needs {circuit.angle_shape}, so give that.")


@fact
def _flaw(circuit: Gates) -> str:
    """What is wrong with the circuit's gates, for a refusal; empty where nothing is."""
    for gate in circuit.gates():
        told = f"{gate.name} on wires {gate.wires}"
        if gate.name not in KINDS:
            return f"{told} is none of {', '.join(KINDS)}; choose one.{nearest(gate.name, KINDS)}"
        count = 2 if gate.kind.controlled else 1
        if len(set(gate.wires)) != count or len(gate.wires) != count:
            return f"{told}; it takes {count} of them, each another."
        if not all(0 <= wire < circuit.qubits for wire in gate.wires):
            return f"{told}; allowed are 0 to {circuit.qubits - 1}."
        if gate.kind.turned != ((gate.angle is None) != (gate.input is None)):
            return f"{told}; it takes {'one angle, of its own or of the token' if gate.kind.turned else 'no angle'}."
        if gate.angle is not None and not 0 <= gate.angle < math.prod(circuit.angle_shape):
            return f"{told} has angle {gate.angle}; allowed are 0 to {math.prod(circuit.angle_shape) - 1}."
    unused = sorted(set(range(math.prod(circuit.angle_shape))) - {gate.angle for gate in circuit.gates()})
    if unused:
        return f"angle {unused[0]} of {math.prod(circuit.angle_shape)} turns no gate; give each angle a gate."
    return ""


@fact
def _reads_amplitudes(circuit: Gates) -> bool:
    return circuit.reads_amplitudes


@fact
def _beyond(circuit: Gates) -> str:
    """What the gradients of the modes do not cover: they take each angle to turn one gate, with eigenvalues ±1/2."""
    if circuit.shares_angles:
        return "an angle turns several gates"
    turned = circuit.beyond(lambda gate: not (gate.kind.turned and gate.kind.controlled))
    return f"{turned} is a rotation under a control" if turned else ""


class ParameterShift(torch.autograd.Function):
    """Any evaluation, with the angles' gradient by shifts (every rotation's generator has eigenvalues ±1/2)."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, angles: Tensor, backend: Backend, circuit: Gates) -> Tensor:
        ctx.backend, ctx.circuit = backend, circuit
        ctx.save_for_backward(features, angles)
        return backend.evaluate(features, angles, circuit)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        features, angles = ctx.saved_tensors
        with torch.enable_grad():
            inputs = features.detach().requires_grad_()
            z = ctx.backend.evaluate(inputs, angles.detach(), ctx.circuit)
            (d_features,) = torch.autograd.grad(z, inputs, grad)
        if not ctx.needs_input_grad[1]:
            return d_features, None, None, None
        d_angles, flat = torch.empty_like(angles).view(-1), angles.reshape(-1)
        for index in range(flat.shape[0]):
            shift = torch.zeros_like(flat)
            shift[index] = math.pi / 2
            ahead, behind = (
                ctx.backend.evaluate(features, turned.view_as(angles), ctx.circuit)
                for turned in (flat + shift, flat - shift)
            )
            d_angles[index] = (grad * (ahead - behind)).sum() / 2
        return d_features, d_angles.view_as(angles), None, None
