"""The algebra of CNOTs over GF(2): basis states as integers, entanglers as invertible linear maps. Pure integers.

An entangler C maps basis states linearly, C|i> = |G i>. Moving every entangler of L layers to the left leaves

    U = C^L R_L' … R_1',    R_l' rotates about the Pauli-X strings T_lk = G^{-(l-1)} e_k,

and the entanglers left over turn Z_k into the parity string S_k = (G^T)^L e_k (Heisenberg picture; with RX rotations
this makes the circuit an IQP circuit, arXiv:1504.07999). Applied to the data instead, C^L only permutes amplitudes,
every S_k becomes a single bit, and the strings become G^{L-l+1} e_k. That is the form used here.
"""

from functools import lru_cache

from ketune.circuits.ansatz import Circuit


def bit(wire: int, qubits: int) -> int:
    """The basis state in which only `wire` is 1."""
    return 1 << (qubits - 1 - wire)


def entangle(state: int, circuit: Circuit, times: int = 1) -> int:
    """G^times i: where the basis state i goes under `times` entanglers."""
    n = circuit.qubits
    for _ in range(times):
        for control, target in circuit.cnots:
            if state & bit(control, n):
                state ^= bit(target, n)
    return state


@lru_cache(maxsize=64)
def permutation(circuit: Circuit, times: int) -> tuple[int, ...]:
    """G^times i for every basis state i, built from the images of the single bits."""
    images = [0]
    for wire in reversed(range(circuit.qubits)):
        image = entangle(bit(wire, circuit.qubits), circuit, times)
        images += [image ^ other for other in images]
    return tuple(images)


@lru_cache(maxsize=64)
def generators(circuit: Circuit) -> tuple[int, ...]:
    """G^{L-l+1} e_k for l = 1…L, k = 0…n-1: the X string of every RX angle, after C^L was moved to the data."""
    n, layers = circuit.qubits, circuit.layers
    return tuple(entangle(bit(wire, n), circuit, layers - layer) for layer in range(layers) for wire in range(n))


def read_out(circuit: Circuit) -> tuple[int, ...]:
    """S_k = (G^T)^L e_k: the Z-parity string that the read-out of qubit k becomes before the entanglers."""
    n = circuit.qubits
    images = [entangle(bit(wire, n), circuit, circuit.layers) for wire in range(n)]
    return tuple(sum(bit(w, n) for w in range(n) if images[w] & bit(wire, n)) for wire in range(n))
