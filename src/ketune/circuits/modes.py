"""How a batch is brought to a PennyLane device, and how its gradients come back: register, choi, phase.

register  a chunk of tokens is one state; the backward pass is one more, reversed circuit (adjoint method).
choi      the device returns the circuit's unitary, its run on the identity; tokens are matrix products.
phase     RX + CNOT only: the device evaluates the circuit's phases, tokens are contracted classically.

With λ = dL/dψ* after the circuit and μ = U† λ:  dL/dx = 2 Re μ, and for an angle whose generator P acts on a state φ on
its way, dL/dθ = Im <λ_φ | P | φ>. RX generators commute through CNOTs, so the states before the first gate suffice.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ketune.circuits.closed_form import contract
from ketune.circuits.devices import REGISTER_CHUNK, run_phases, run_register
from ketune.circuits.embedding import Normalise
from ketune.circuits.gates import Gate, Gates, undone
from ketune.circuits.layout import disentangled_rows, signs, string_signs, walsh_hadamard
from ketune.circuits.parity import beyond
from ketune.circuits.simulator import act, matrix, read_out

Run = Callable[[Sequence[Gate], Tensor, Tensor], Tensor]


def angle_gradient(
    run: Run, circuit: Gates, angles: Tensor, inputs: Tensor, outputs: Tensor, costate: Tensor
) -> tuple[Tensor, Tensor]:
    """(μ (B, N), dL/dθ) from the states before (B, N) and after (B, N) the circuit and λ (B, N) after it."""
    if not beyond(circuit):
        back = run(undone(circuit.gates()), -angles, costate)
        rows = disentangled_rows(circuit, angles.device)
        turned, entered = (walsh_hadamard(part.t()[rows]) for part in (back.imag, inputs))
        products = -turned.mul_(entered).sum(1) / inputs.shape[1]
        return back, (string_signs(circuit, products.dtype, products.device) @ products).view(angles.shape)
    gradient = torch.zeros_like(angles).view(-1)
    for segment in reversed(circuit.segments):
        both = run(undone(segment.rotations + segment.fixed), -angles, torch.cat([outputs, costate]))
        outputs, costate = both.chunk(2)
        for gate in segment.rotations:
            turned = act(matrix(gate, None, outputs), gate.wires, outputs)
            gradient[gate.angle] = (costate.conj() * turned).sum().imag
    return costate, gradient.view(angles.shape)


class Register(torch.autograd.Function):
    """z (B, n) of unit rows (B, d): a chunk of tokens is one state of the device."""

    @staticmethod
    def forward(ctx: Any, unit: Tensor, angles: Tensor, circuit: Gates, name: str) -> Tensor:
        inputs = torch.nn.functional.pad(unit, (0, (1 << circuit.qubits) - unit.shape[1]))
        outputs = run_register(name, circuit.gates(), angles, inputs, REGISTER_CHUNK)
        ctx.circuit, ctx.name = circuit, name
        ctx.save_for_backward(unit, angles, outputs)
        return read_out(outputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        unit, angles, outputs = ctx.saved_tensors
        width, d_unit, d_angles = unit.shape[1], torch.empty_like(unit), torch.zeros_like(angles)
        diagonals = signs(ctx.circuit.qubits, grad.dtype, grad.device)

        run = partial(run_register, ctx.name)
        for start in range(0, unit.shape[0], REGISTER_CHUNK):
            part = slice(start, start + REGISTER_CHUNK)
            inputs = torch.nn.functional.pad(unit[part], (0, outputs.shape[1] - width))
            costate = torch.view_as_complex((grad[part] @ diagonals)[..., None] * torch.view_as_real(outputs[part]))
            back, d = angle_gradient(run, ctx.circuit, angles, inputs, outputs[part], costate)
            d_angles += d
            d_unit[part] = 2 * back.real[:, :width]
        return d_unit, d_angles, None, None


class Unitary(torch.autograd.Function):
    """The rows U|i> (N, N) of a circuit, from one run of the device on the identity."""

    @staticmethod
    def forward(ctx: Any, angles: Tensor, circuit: Gates, name: str) -> Tensor:
        identity = torch.eye(1 << circuit.qubits, dtype=angles.dtype, device=angles.device)
        columns = run_register(name, circuit.gates(), angles, identity)
        ctx.circuit, ctx.name = circuit, name
        ctx.save_for_backward(angles, identity, columns)
        return columns

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        angles, identity, columns = ctx.saved_tensors
        return (
            angle_gradient(partial(run_register, ctx.name), ctx.circuit, angles, identity, columns, grad / 2)[1],
            None,
            None,
        )


class Phases(torch.autograd.Function):
    """Φ (N,) from the device; its derivative is the closed form's."""

    @staticmethod
    def forward(ctx: Any, angles: Tensor, circuit: Gates, name: str) -> Tensor:
        ctx.circuit, ctx.shape = circuit, angles.shape
        return run_phases(name, circuit, angles)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return (string_signs(ctx.circuit, grad.dtype, grad.device) @ grad / 2).view(ctx.shape), None, None


def register(features: Tensor, angles: Tensor, circuit: Gates, name: str) -> Tensor:
    """z (B, n) through the register mode; states of all tokens are kept for the backward pass (8 N bytes each)."""
    return Register.apply(Normalise.apply(features), angles, circuit, name)


def choi(features: Tensor, angles: Tensor, circuit: Gates, name: str) -> Tensor:
    """z (B, n) through the circuit's unitary; the device's work does not depend on B."""
    return composed(features, Unitary.apply(angles, circuit, name))


def composed(features: Tensor, columns: Tensor) -> Tensor:
    """z (B, n) of features (B, d) and a circuit as its rows U|i> (N, N), differentiable in both."""
    unit, real = Normalise.apply(features), torch.view_as_real(columns[: features.shape[1]]).flatten(1)  # (d, 2N)
    diagonals = signs(columns.shape[0].bit_length() - 1, unit.dtype, unit.device).repeat_interleave(2, 1)
    return (unit @ real).square() @ diagonals.t()


def phase(features: Tensor, angles: Tensor, circuit: Gates, name: str) -> Tensor:
    """z (B, n) with the circuit's phases from the device and the tokens contracted classically."""
    return contract(features, Phases.apply(angles, circuit, name), circuit)
