"""ketune: how language models are adapted with few parameters, and what quantum circuits add.

`from ketune import QAAConfig` gives the configuration of an adapter, `ketune.load(folder)` a trained adapter on its
base model. With `import ketune`, before or after peft, peft knows ketune's kinds of adapters; nothing heavy is imported
before it is asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

from ketune.waiting import after_import

if TYPE_CHECKING:
    from ketune.adapters import load
    from ketune.circuits.noise import Noise
    from ketune.tuners.callback import ProximalStep
    from ketune.tuners.hardware import as_hardware
    from ketune.tuners.qaa import QAAConfig
    from ketune.tuners.qtha import QTHAConfig
    from ketune.tuners.quantum_peft import QuantumPEFTConfig
    from ketune.tuners.residual import measure_features
    from ketune.tuners.sora import SoRAConfig

__version__ = "0.1.0"
__all__ = [
    "Noise",
    "ProximalStep",
    "QAAConfig",
    "QTHAConfig",
    "QuantumPEFTConfig",
    "SoRAConfig",
    "as_hardware",
    "load",
    "measure_features",
]

_HOMES = {
    "Noise": "ketune.circuits.noise",
    "QAAConfig": "ketune.tuners.qaa",
    "SoRAConfig": "ketune.tuners.sora",
    "QTHAConfig": "ketune.tuners.qtha",
    "QuantumPEFTConfig": "ketune.tuners.quantum_peft",
    "ProximalStep": "ketune.tuners.callback",
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
