"""ketune: how language models are adapted with few parameters, and what quantum circuits add.

`from ketune import QAAConfig` gives the configuration of an adapter, `ketune.load(folder)` a trained adapter on its
base model. With `import ketune`, before or after peft, peft knows ketune's kinds of adapters; nothing heavy is imported
before it is asked for.
"""

import importlib
from typing import Any

from ketune.waiting import after_import

__version__ = "0.1.0"

_HOMES = {
    "Noise": "ketune.circuits.noise",
    "QAAConfig": "ketune.tuners.qaa",
    "SoRAConfig": "ketune.tuners.sora",
    "QTHAConfig": "ketune.tuners.qtha",
    "QuantumPEFTConfig": "ketune.tuners.quantum_peft",
    "ProximalStep": "ketune.tuners.proximal",
    "as_hardware": "ketune.tuners.hardware",
    "load": "ketune.adapters",
    "measure_features": "ketune.tuners.residual",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'ketune' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])


after_import("peft", "ketune.tuners")
