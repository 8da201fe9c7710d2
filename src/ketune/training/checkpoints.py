"""Checkpoints of a run in training: where they lie, which of them are whole.

transformers writes a checkpoint's files one after another and trusts any folder of the right name: with `optimizer.pt`
or `rng_state.pth` missing it would train on silently along another curve. So each checkpoint is sealed with the
digests of its files, written last, and only a sealed one that still matches is used.

Checkpoints lie outside DVC's outputs (DVC deletes those before it runs a stage), keyed by all that decides the run.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from transformers import TrainerCallback

from ketune.ground import files
from ketune.ground.errors import InputError
from ketune.training import distribution

SEAL = "seal.json"


def root() -> Path:
    """The folder of all checkpoints; in DVC's temporary workspaces too it is that of the original project."""
    return Path(os.environ.get("DVC_ROOT", ".")) / ".cache" / "checkpoints"


def key(files: Iterable[Path], *values: Any) -> str:
    """A name for a run from the content of `files` (folders: every file in them) and the given values."""
    digest = hashlib.blake2b(repr(values).encode(), digest_size=16)
    for path in files:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"\n{file.name}:{_digest(file)}".encode())
    return digest.hexdigest()


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """No other process works in `folder` meanwhile: whoever comes later waits, on a shared file system too.

    A run that is spread over processes takes no lock, for the others would wait in torch's first collective call; nor
    does any where the file system has none, which is said.
    """
    if distribution.processes() > 1:
        yield
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    path = folder.with_name(f"{folder.name}.lock")
    while True:
        with path.open("w") as file:
            _lock(file, folder.name)
            if _is_at(file, path):  # else whoever had it before removed it meanwhile
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)
                return


def _lock(file: TextIO, name: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"{name}: another process is at the same work; waiting for it to end.", flush=True)
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        print(f"{name}: no lock can be had here ({error.strerror}); run no stage twice at a time.", flush=True)


def _is_at(file: TextIO, path: Path) -> bool:
    try:
        return path.stat().st_ino == os.fstat(file.fileno()).st_ino
    except FileNotFoundError:
        return False


def last_whole(folder: Path) -> Path | None:
    """The latest checkpoint in `folder` whose seal holds, or None; torn ones are deleted on the way.

    Of several processes the main one reads and deletes, and the others take what it left.
    """
    if distribution.is_main():
        while (latest := _latest(folder)) and not _holds(latest):
            shutil.rmtree(latest)
    distribution.wait()
    return _latest(folder)


def _latest(folder: Path) -> Path | None:
    found = folder.glob("checkpoint-*")
    return max(found, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "blake2b").hexdigest()


def _digests(checkpoint: Path) -> dict[str, str]:
    files = (file for file in sorted(checkpoint.rglob("*")) if file.is_file() and file.name != SEAL)
    return {str(file.relative_to(checkpoint)): _digest(file) for file in files}


def _holds(checkpoint: Path) -> bool:
    try:
        return files.read_json(checkpoint / SEAL, dict[str, str]) == _digests(checkpoint)
    except (OSError, InputError):
        return False


class Sealer(TrainerCallback):
    """Seals each checkpoint after transformers has written it."""

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Write the digests of all files, flushed to disk, as the checkpoint's last file."""
        distribution.wait()  # every process has written its own random state
        if state.is_world_process_zero:
            checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            files.write_json(checkpoint / SEAL, _digests(checkpoint))
