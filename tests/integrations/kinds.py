"""The adapters, with the settings that these tests give them."""

import copy

from ketune import QAAConfig, QTHAConfig, QuantumPEFTConfig, SoRAConfig

ADAPTERS = {
    "QAA": QAAConfig(task_type="CAUSAL_LM"),
    "QTHA": QTHAConfig(task_type="CAUSAL_LM"),
    "Quantum-PEFT": QuantumPEFTConfig(task_type="CAUSAL_LM"),
    "SoRA": SoRAConfig(task_type="CAUSAL_LM", target_ranks=8),
}


def config(name: str):
    """A fresh copy of that adapter's configuration."""
    return copy.deepcopy(ADAPTERS[name])
