"""Quantum circuits over batches of hidden vectors: data, exact simulation, PennyLane's devices, shots and noise.

The only package that imports PennyLane, and only once one of its devices is asked for.
"""

from ketune.circuits.ansatz import ROTATIONS, WIRINGS, Circuit, Reuploading, TwoDesign
from ketune.circuits.backends import Backend, resolve
from ketune.circuits.cards import card, drawing, facts, gradient_variance, shots_for
from ketune.circuits.expectation import expectations
from ketune.circuits.gates import Gate
from ketune.circuits.hardware import Bill, bill
from ketune.circuits.machines import noisy
from ketune.circuits.noise import Noise
from ketune.circuits.orthogonal import two_design_columns
from ketune.circuits.reuploading import reuploading_expectations
from ketune.circuits.sampling import measure

__all__ = [
    "ROTATIONS",
    "WIRINGS",
    "Backend",
    "Bill",
    "Circuit",
    "Gate",
    "Noise",
    "Reuploading",
    "TwoDesign",
    "bill",
    "card",
    "drawing",
    "expectations",
    "facts",
    "gradient_variance",
    "measure",
    "noisy",
    "resolve",
    "reuploading_expectations",
    "shots_for",
    "two_design_columns",
]
