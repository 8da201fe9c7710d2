"""Several processes that share one run, as torchrun starts them: data parallel, one batch divided among them.

It knows torchrun's environment variables and how torch lets processes meet. It does not know what they compute.
"""

import os
import sys

import torch

from ketune.ground.errors import InputError
from ketune.ground.params import Train


def processes() -> int:
    """Number of processes that share the run: torchrun says so in the environment."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main() -> bool:
    """True in the process that writes files."""
    return int(os.environ.get("RANK", "0")) == 0


def wait() -> None:
    """Wait until every process that shares the run is here."""
    if torch.distributed.is_initialized():
        torch.distributed.barrier()


def spread(settings: Train) -> None:
    """Start the run again under torchrun where `train.processes` asks for several; the batch is shared among them.

    Raises:
        InputError: torchrun started another number of processes.
    """
    if "RANK" in os.environ:
        if processes() != settings.processes:
            raise InputError(
                f"train.processes: {settings.processes}, but {processes()} processes were started; make them equal."
            )
    elif settings.processes > 1:
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={settings.processes}"]
        os.execv(sys.executable, [sys.executable, *launcher, *sys.argv])
