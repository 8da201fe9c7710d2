"""Runs a stage and kills it at its n-th write: `python tests/dying.py N stages/train.py qaa 0`.

Writes are calls that flush a file, put it in place, or save tensors; a negative N counts them all and prints how many.
"""

import os
import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

WHOLE = (os.fsync, os.replace)  # these make no torn file
writes = 0


def dying(real: Callable, last: int) -> Callable:
    """`real`, which does not return from its `last`-th call; a saved file is torn by then."""

    def call(*arguments: Any, **named: Any) -> Any:
        global writes
        writes += 1
        if writes != last:
            return real(*arguments, **named)
        if real not in WHOLE:
            real(*arguments, **named)
            for argument in arguments:
                if isinstance(argument, str | Path):
                    os.truncate(argument, os.path.getsize(argument) // 2)
        os.kill(os.getpid(), signal.SIGKILL)

    return call


def main(last: int, stage: str, *arguments: str) -> None:
    """Arm the functions that write, then run the stage as the main module."""
    import safetensors.torch
    import torch

    for module, name in ((os, "fsync"), (os, "replace"), (torch, "save"), (safetensors.torch, "save_file")):
        setattr(module, name, dying(getattr(module, name), last))
    sys.argv = [stage, *arguments]
    sys.path.insert(0, str(Path(stage).parent))
    try:
        runpy.run_path(stage, run_name="__main__")
    finally:
        if last < 0:
            print(writes)


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
