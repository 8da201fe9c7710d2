"""ketune: how language models are adapted with few parameters, and what quantum circuits add.

`from ketune import QAAConfig` gives the configuration of an adapter, `ketune.load(folder)` a trained adapter on its
base model. With `import ketune`, before or after peft, peft knows ketune's kinds of adapters; nothing heavy is imported
before it is asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

from ketune.waiting import after_import

if TYPE_CHECKING:
    from ketune.adapters import load as load
    from ketune.circuits.noise import Noise as Noise
    from ketune.ground.errors import InputError as InputError
    from ketune.tuners.callback import ProximalStep as ProximalStep
    from ketune.tuners.hardware import as_hardware as as_hardware
    from ketune.tuners.qaa import QAAConfig as QAAConfig
    from ketune.tuners.qtha import QTHAConfig as QTHAConfig
    from ketune.tuners.quantum_peft import QuantumPEFTConfig as QuantumPEFTConfig
    from ketune.tuners.residual import measure_features as measure_features
    from ketune.tuners.sora import SoRAConfig as SoRAConfig

__version__ = "0.1.0"
_HOMES = {
    "InputError": "ketune.ground.errors",
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
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'ketune' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])


after_import("peft", "ketune.tuners")
