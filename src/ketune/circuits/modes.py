"""How a batch is brought to a PennyLane device, and how its gradients come back: register, choi, phase.

register  a chunk of tokens is one state; the backward pass is one more, reversed circuit (adjoint method).
choi      the device returns the circuit's unitary, its run on the identity; tokens are matrix products.
phase     RX + CNOT only: the device evaluates the circuit's phases, tokens are contracted classically.

With λ = O ψ, O = Σ_k g_k Z_k, and μ = U† λ:  dL/dx = 2 Re μ, and for an angle with generator P acting on a state φ on
its way, dL/dθ = Im <λ_φ | P | φ>. RX generators commute through CNOTs, so the states before the first gate suffice.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ketune.circuits.ansatz import Circuit
from ketune.circuits.closed_form import contract, phase_gradient
from ketune.circuits.devices import REGISTER_CHUNK, inverted, run_phases, run_register
from ketune.circuits.embedding import scales
from ketune.circuits.gates import Gate
from ketune.circuits.layout import disentangled_rows, generator_rows, signs, walsh_hadamard

Run = Callable[[list[Gate], Tensor, Tensor], Tensor]


def angle_gradient(
    run: Run, circuit: Circuit, angles: Tensor, inputs: Tensor, outputs: Tensor, costate: Tensor
) -> tuple:
    """(μ (B, N), dL/dθ) from the states before (B, N) and after (B, N) the circuit and λ (B, N) after it."""
    if circuit.diagonal:
        back = run(inverted(circuit.gates()), -angles, costate)
        strings = disentangled_rows(circuit, circuit.layers, angles.device)[generator_rows(circuit, angles.device)]
        turned, entered = (walsh_hadamard(part.t().contiguous()) for part in (back.imag, inputs))
        product = -turned.mul_(entered).sum(1) / inputs.shape[1]
        return back, walsh_hadamard(product[:, None])[:, 0][strings].view(angles.shape)
    gradient = torch.zeros_like(angles).view(-1)
    for segment in reversed(_segments(circuit)):
        both = run(inverted(segment), -angles, torch.cat([outputs, costate]))
        outputs, costate = both.chunk(2)
        rotations = [gate for gate in segment if gate.angle is not None]
        for gate in rotations:
            gradient[gate.angle] = _overlap(gate, outputs, costate)
    return costate, gradient.view(angles.shape)


def _segments(circuit: Circuit) -> list[list[Gate]]:
    """The gates cut before every change from one kind of rotation to another, and after every entangler."""
    segments: list[list[Gate]] = []
    for gate in circuit.gates():
        if gate.angle is not None and (gate.angle % circuit.qubits == 0):
            segments.append([])
        segments[-1].append(gate)
    return segments


def _overlap(gate: Gate, state: Tensor, costate: Tensor) -> Tensor:
    """Im <λ | P | φ> summed over the batch, P the rotation's Pauli matrix on its wire."""
    split, other = (s.view(s.shape[0] << gate.wires[0], 2, -1) for s in (state, costate))
    low, high = split.unbind(1)
    flipped = (high, low) if gate.name == "RX" else (-1j * high, 1j * low)
    return sum((o.conj() * f).sum() for o, f in zip(other.unbind(1), flipped, strict=True)).imag


def read_out(states: Tensor, diagonals: Tensor) -> Tensor:
    """z (B, n) of complex states (B, N) and the diagonals (n, N) of Z."""
    return torch.view_as_real(states).flatten(1).square() @ diagonals.repeat_interleave(2, 1).t()


class Register(torch.autograd.Function):
    """z (B, n): a chunk of tokens is one state of the device."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, angles: Tensor, circuit: Circuit, name: str) -> Tensor:
        scale = scales(features)[:, None]
        inputs = torch.nn.functional.pad(features * scale, (0, (1 << circuit.qubits) - features.shape[1]))
        outputs = run_register(name, circuit.gates(), angles, inputs, REGISTER_CHUNK)
        z = read_out(outputs, signs(circuit.qubits, features.dtype, features.device))
        ctx.circuit, ctx.name = circuit, name
        ctx.save_for_backward(features, scale, angles, outputs, z)
        return z

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        features, scale, angles, outputs, z = ctx.saved_tensors
        width, size = features.shape[1], outputs.shape[1]
        unit, d_unit, d_angles = features * scale, torch.empty_like(features), torch.zeros_like(angles)
        diagonals = signs(ctx.circuit.qubits, grad.dtype, grad.device)

        def run(gates: list[Gate], turned: Tensor, states: Tensor) -> Tensor:
            return run_register(ctx.name, gates, turned, states)

        for start in range(0, unit.shape[0], REGISTER_CHUNK):
            part = slice(start, start + REGISTER_CHUNK)
            inputs = torch.nn.functional.pad(unit[part], (0, size - width))
            costate = torch.view_as_complex((grad[part] @ diagonals)[..., None] * torch.view_as_real(outputs[part]))
            back, d = angle_gradient(run, ctx.circuit, angles, inputs, outputs[part], costate)
            d_angles += d
            d_unit[part] = back.real[:, :width]
        along = 2 * (grad * z).sum(1, keepdim=True)
        return (2 * d_unit - along * unit) * scale, d_angles, None, None


class Choi(torch.autograd.Function):
    """z (B, n): the device returns the unitary once, tokens are matrix products."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, angles: Tensor, circuit: Circuit, name: str) -> Tensor:
        scale, width = scales(features)[:, None], features.shape[1]
        identity = torch.eye(1 << circuit.qubits, dtype=features.dtype, device=features.device)
        columns = run_register(name, circuit.gates(), angles, identity)  # row i is U|i>
        outputs = (features * scale) @ torch.view_as_real(columns)[:width].flatten(1)  # (B, 2N)
        diagonals = signs(circuit.qubits, features.dtype, features.device).repeat_interleave(2, 1)
        z = outputs.square() @ diagonals.t()
        ctx.circuit, ctx.name = circuit, name
        ctx.save_for_backward(features, scale, angles, columns, diagonals, z)
        return z

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        features, scale, angles, columns, diagonals, z = ctx.saved_tensors
        unit, width = features * scale, features.shape[1]
        real = torch.view_as_real(columns)[:width].flatten(1)  # (d, 2N)
        costate = (grad @ diagonals) * (unit @ real)
        costates = torch.zeros_like(columns)
        costates[:width] = torch.view_as_complex((unit.t() @ costate).unflatten(1, (-1, 2)))
        identity = torch.eye(columns.shape[0], dtype=grad.dtype, device=grad.device)

        def run(gates: list[Gate], turned: Tensor, states: Tensor) -> Tensor:
            return run_register(ctx.name, gates, turned, states)

        _, d_angles = angle_gradient(run, ctx.circuit, angles, identity, columns, costates)
        along = 2 * (grad * z).sum(1, keepdim=True)
        return (2 * costate @ real.t() - along * unit) * scale, d_angles, None, None


class Phases(torch.autograd.Function):
    """Φ (N,) from the device; its derivative is a Walsh-Hadamard transform."""

    @staticmethod
    def forward(ctx: Any, angles: Tensor, circuit: Circuit, name: str) -> Tensor:
        ctx.circuit = circuit
        return run_phases(name, circuit, angles)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return phase_gradient(grad, ctx.circuit), None, None


def register(features: Tensor, angles: Tensor, circuit: Circuit, name: str) -> Tensor:
    """z (B, n) through the register mode; states of all tokens are kept for the backward pass (8 N bytes each)."""
    return Register.apply(features, angles, circuit, name)


def choi(features: Tensor, angles: Tensor, circuit: Circuit, name: str) -> Tensor:
    """z (B, n) through the circuit's unitary; the device's work does not depend on B."""
    return Choi.apply(features, angles, circuit, name)


def phase(features: Tensor, angles: Tensor, circuit: Circuit, name: str) -> Tensor:
    """z (B, n) with the circuit's phases from the device and the tokens contracted classically."""
    return contract(features, Phases.apply(angles, circuit, name), circuit)
