"""The same circuit in other simulators, each in the form its documentation recommends for batches. None is required.

Each function returns (features (B, d) as a tensor, angles, dL/dz) to a callable without arguments that runs forward and
backward, or raises ImportError where the library is not installed.
"""

import os
from collections.abc import Callable

import torch
from torch import Tensor

from ketune.circuits import Circuit
from ketune.circuits.layout import apply_factors, disentangled_rows
from ketune.circuits.modes import composed
from ketune.circuits.statevector import layer_factors

Both = Callable[[], object]


def dense(circuit: Circuit, features: Tensor, angles: Tensor, grad: Tensor) -> Both:
    """The circuit composed once into a dense matrix, then one matrix product for all tokens (as fastQML does)."""
    one_layer = Circuit(circuit.qubits, 1, circuit.rotation, circuit.entangler)
    fetch = disentangled_rows(one_layer, features.device)
    identity = torch.eye(1 << circuit.qubits, dtype=torch.complex64, device=features.device)

    def both() -> object:
        unitary, factors = identity, layer_factors(angles, circuit)
        for layer in range(circuit.layers):
            unitary = apply_factors(unitary, [factor[layer] for factor in factors])[fetch]
        return torch.autograd.grad(composed(features, unitary.t()), (features, angles), grad)

    return both


def traffic(circuit: Circuit, features: Tensor, angles: Tensor, grad: Tensor) -> Both:
    """No circuit: only the memory that any evaluation must touch, the inputs read twice and their gradient written."""
    x, written = features.detach(), torch.empty_like(features)
    return lambda: (x.sum(), written.copy_(x))


def tensorcircuit_jax(circuit: Circuit, features: Tensor, angles: Tensor, grad: Tensor) -> Both:
    """TensorCircuit-NG, jax, vmap and jit: the final state, its probabilities, signs by one matrix product."""
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    import jax
    import jax.numpy as jnp
    import tensorcircuit as tc

    tc.set_backend("jax")
    tc.set_dtype("complex64")
    n = circuit.qubits
    signs = jnp.asarray([[1 - 2 * ((i >> (n - 1 - k)) & 1) for k in range(n)] for i in range(1 << n)], jnp.float32)

    def one(vector: object, theta: object) -> object:
        padded = jnp.pad(vector, (0, (1 << n) - vector.shape[0]))
        state = padded / jnp.linalg.norm(padded)
        c = tc.Circuit(n, inputs=state.astype(jnp.complex64))
        for gate in circuit.gates():
            if gate.angle is None:
                c.cnot(*gate.wires)
            else:
                getattr(c, gate.name.lower())(gate.wires[0], theta=theta[gate.angle])
        return jnp.abs(c.state()) ** 2 @ signs

    def loss(x: object, theta: object, g: object) -> object:
        return (jax.vmap(one, (0, None))(x, theta) * g).sum()

    run = jax.jit(jax.grad(loss, (0, 1)))
    x, theta, g = (jnp.asarray(t.detach().numpy()) for t in (features, angles.reshape(-1), grad))
    return lambda: jax.block_until_ready(run(x, theta, g))


def tensorcircuit_torch(circuit: Circuit, features: Tensor, angles: Tensor, grad: Tensor) -> Both:
    """TensorCircuit-NG, torch, vmap."""
    import tensorcircuit as tc

    backend = tc.get_backend("pytorch")
    n = circuit.qubits
    signs = torch.tensor([[1.0 - 2 * ((i >> (n - 1 - k)) & 1) for k in range(n)] for i in range(1 << n)])

    def one(vector: Tensor, theta: Tensor) -> Tensor:
        padded = torch.nn.functional.pad(vector, (0, (1 << n) - vector.shape[0]))
        c = tc.Circuit(n, inputs=(padded / padded.norm()).to(torch.complex64))
        for gate in circuit.gates():
            if gate.angle is None:
                c.cnot(*gate.wires)
            else:
                getattr(c, gate.name.lower())(gate.wires[0], theta=theta[gate.angle])
        return c.state().abs() ** 2 @ signs

    run = backend.vmap(one, vectorized_argnums=0)

    def both() -> object:
        with tc.runtime_backend("pytorch"):
            return torch.autograd.grad(run(features, angles.reshape(-1)), (features, angles), grad)

    return both


def torchquantum(circuit: Circuit, features: Tensor, angles: Tensor, grad: Tensor) -> Both:
    """TorchQuantum: a batched QuantumDevice, functional gates, MeasureAll of Z."""
    import torchquantum as tq
    import torchquantum.functional as tqf

    n = circuit.qubits
    measure = tq.MeasureAll(tq.PauliZ)

    def both() -> object:
        device = tq.QuantumDevice(n_wires=n, bsz=features.shape[0])
        padded = torch.nn.functional.pad(features, (0, (1 << n) - features.shape[1]))
        device.set_states((padded / padded.norm(dim=1, keepdim=True)).to(torch.complex64))
        flat = angles.reshape(-1)
        for gate in circuit.gates():
            if gate.angle is None:
                tqf.cnot(device, wires=list(gate.wires))
            else:
                getattr(tqf, gate.name.lower())(device, wires=gate.wires[0], params=flat[gate.angle])
        return torch.autograd.grad(measure(device), (features, angles), grad)

    return both
