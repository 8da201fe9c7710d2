"""What methods are made of: an adapter in each file that says `ADAPTER = …`, PEFT tuners of ketune's own among them.

It knows peft and torch modules. It does not know the pipeline, nor which method of the study uses which adapter.
"""

import importlib
import pkgutil


def register_all() -> None:
    """Make peft know every kind of adapter that is ketune's own, whatever was imported so far."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
