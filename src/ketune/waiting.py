"""Import one module right after another: how `import ketune` registers adapters with peft and does not import it.

peft has no way for a package to announce its adapters, so ketune waits for peft's import (or finds it done).
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any


def after_import(awaited: str, then: str) -> None:
    """Import the module `then` when the module `awaited` has been imported, at once if it is there already."""
    if awaited in sys.modules:
        importlib.import_module(then)
    else:
        sys.meta_path.insert(0, _Waiting(awaited, then))


class _Waiting(MetaPathFinder):
    """Lets Python's own finders find the awaited module, and runs on when it has been executed."""

    def __init__(self, awaited: str, then: str) -> None:
        self.awaited, self.then = awaited, then

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        """None for every module but the awaited one."""
        if fullname != self.awaited:
            return None
        sys.meta_path.remove(self)  # the other finders are asked
        try:
            spec = find_spec(fullname)
        finally:
            sys.meta_path.insert(0, self)  # who asks may only want to know whether the module is there
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_go_on(module: ModuleType) -> None:
                execute(module)
                importlib.import_module(self.then)
                sys.meta_path.remove(self)  # last: what failed is tried again at the next import

            spec.loader.exec_module = execute_and_go_on  # type: ignore[method-assign]  # of this one loader object
        return spec
