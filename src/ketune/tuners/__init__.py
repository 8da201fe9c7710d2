"""The adapters, one in each file that defines `ADAPTER`: ketune's own PEFT tuners, and peft's behind the same form.

It knows peft and torch modules. It does not know the pipeline, nor which method of the study uses which adapter.
Importing anything of it registers ketune's own kinds with peft.
"""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    if _module.name != "callback":  # no adapter, and more of transformers than there is while it imports peft
        importlib.import_module(f"{__name__}.{_module.name}")
