"""ketune: how language models are adapted with few parameters, and what quantum circuits add.

`from ketune import QAAConfig` gives the configuration of an adapter and registers its kind with PEFT;
`ketune.load(folder)` gives a trained adapter on its base model. Nothing heavy is imported before it is asked for.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "QAAConfig": "ketune.tuners.qaa",
    "SoRAConfig": "ketune.tuners.sora",
    "QTHAConfig": "ketune.tuners.qtha",
    "QuantumPEFTConfig": "ketune.tuners.quantum_peft",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name == "load":
        return importlib.import_module("ketune.adapters").load
    raise AttributeError(f"module 'ketune' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES, "load"])
