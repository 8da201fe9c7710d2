"""What methods are made of: an adapter in each file that says `ADAPTER = …`, PEFT tuners of ketune's own among them.

It knows peft and torch modules. It does not know the pipeline, nor which method of the study uses which adapter.
Importing anything of it makes peft know every kind that is ketune's own.
"""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    if _module.name != "callback":  # no adapter, and more of transformers than there is while it imports peft
        importlib.import_module(f"{__name__}.{_module.name}")
