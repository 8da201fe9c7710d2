"""How a pipeline stage lives as a process: its threads, its death with its parent, its errors in one sentence.

This module knows processes. It does not know what a stage computes, and it imports nothing heavy, because the thread
settings below must stand before torch is loaded.
"""

import ctypes
import mmap
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from types import TracebackType

from ketune.ground import faults
from ketune.ground.errors import InputError

CODE = ("src", "stages", "dvc.yaml")
"""What a run's code is, as git knows it: two commits that do not differ in these run alike."""

# A waiting OpenMP thread sleeps: spinning costs a factor of 2.6 where cores are shared.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
# peft 0.21 asks transformers 5.23 by a name that is about to go.
warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)


def die_with_parent() -> None:
    """End this process when its parent ends; nothing is arranged elsewhere than on Linux."""
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid()
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG, linux/prctl.h
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
    if os.getppid() != parent:  # the parent ended before the line above took effect
        os.kill(os.getpid(), signal.SIGKILL)


if "DVC_STAGE" in os.environ:  # a killed `dvc` must not leave a stage behind, not even one that is still loading torch
    die_with_parent()


def no_arguments(arguments: list[str]) -> tuple:
    """No arguments.

    Raises:
        InputError: any argument.
    """
    if arguments:
        raise InputError(f"arguments {' '.join(arguments)!r}: none is expected; settings belong in params.yaml.")
    return ()


def method(arguments: list[str]) -> tuple[str]:
    """The method that a stage runs on, from its one argument or from the name that DVC gives the stage.

    Raises:
        InputError: other than one method.
    """
    arguments = arguments or _matrix_item()
    if len(arguments) != 1:
        raise InputError(f"{' '.join(arguments)!r}: one method is expected, as in 'qaa'.")
    return (arguments[0],)


def method_and_seed(arguments: list[str]) -> tuple[str, int]:
    """(method, seed) that a stage runs on, from its two arguments or from the name that DVC gives the stage.

    Raises:
        InputError: other than a method and a seed that is a whole number.
    """
    arguments = arguments or _matrix_item()
    if len(arguments) != 2 or not arguments[1].isdecimal():
        raise InputError(
            f"{' '.join(arguments)!r}: a method and a seed are expected, as in 'qaa 0'; under DVC they come from the "
            "lists methods and seeds in params.yaml."
        )
    return arguments[0], int(arguments[1])


def _matrix_item() -> list[str]:
    """What DVC runs this stage on: ["qaa", "0"] in train@qaa-0.

    It is taken from here and not from the command line, because DVC pastes values into a command as they are: a seed
    like $(rm x) would run before anything could refuse it.
    """
    name = os.environ.get("DVC_STAGE", "").rpartition(":")[2]  # seen from another folder: ../dvc.yaml:train@qaa-0
    item = name.partition("@")[2]
    return item.rsplit("-", 1) if item else []


def report_fault(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Say what ends this process: one sentence where disk or memory is at fault, else the traceback of a defect.

    As `sys.excepthook` it also covers what happens before a stage begins: libraries may not even fit into memory.
    """
    fault = faults.of_machine(error)
    if fault is None:
        sys.__excepthook__(kind, error, trace)
    else:
        print(f"{_name()}: {fault}.", file=sys.stderr, flush=True)
        os._exit(1)  # without memory, what libraries do at exit fails too, and says so at length


def _name() -> str:
    stage = " ".join(os.environ.get("DVC_STAGE", "").split())
    return stage or os.path.basename(sys.argv[0]).removesuffix(".py")


def _report_fault_of_thread(thread: threading.ExceptHookArgs) -> None:
    report_fault(thread.exc_type, thread.exc_value or thread.exc_type(), thread.exc_traceback)


sys.excepthook = report_fault
threading.excepthook = _report_fault_of_thread


def require_address_space(size: int) -> None:
    """Refuse to begin where a limit (`ulimit -v`) leaves fewer than `size` bytes of addresses; none is used up.

    Raises:
        MemoryError: there are fewer.
    """
    try:
        mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=0).close()
    except OSError as error:
        raise MemoryError from error


if os.name == "posix":
    # Below 0.7 GiB (report) to 1 GiB (generate) libraries abort while they load, or wait for memory without end.
    require_address_space(1 << 30)


def said(*command: str) -> str:
    """What a command prints.

    Raises:
        InputError: it failed.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"{' '.join(command)}, in {os.getcwd()}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def run(stage: Callable[..., None], parse: Callable[[list[str]], tuple] = no_arguments) -> None:
    """Run a stage on its parsed arguments; end with status 1 and one sentence where the user's input is at fault.

    Ctrl-C ends with status 130. What else goes wrong is told by `report_fault`.
    """
    try:
        stage(*parse(sys.argv[1:]))
    except InputError as error:
        sys.exit(f"{_name()}: {error}")
    except KeyboardInterrupt:
        print(f"\n{_name()}: interrupted; run the same command again to go on.", file=sys.stderr)
        sys.exit(130)
