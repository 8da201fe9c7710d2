"""What memory or disk refused, read off an exception. Any other exception is the user's (InputError) or a defect."""

import errno
import os
import re
from collections.abc import Iterator

WITHOUT_MEMORY = re.compile(
    "can't allocate|[Cc]annot allocate memory|out of memory|failed to map segment|can't start new thread|bad_alloc"
)
REFUSED = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}


def of_machine(error: BaseException) -> str | None:
    """What memory or disk refused and what to do about it, from an exception or one behind it; None for a defect.

    Libraries in Rust write the system's error number into their text; torch's C++ writer does not even do that.
    """
    if of_memory(error):
        return "out of memory; free some, or lower train.batch_size or generate.batch_tokens, and run again"
    if isinstance(error, OSError) and error.filename is not None:
        return _of_disk(error.strerror or str(error), error.filename)
    for cause in _chain(error):
        if isinstance(cause, OSError) and cause.errno in REFUSED:
            return _of_disk(os.strerror(cause.errno), cause.filename)
        if number := re.search(r"\(os error (\d+)\)", str(cause)):
            return _of_disk(os.strerror(int(number[1])), None)
        if "inline_container" in str(cause) or "iostream error" in str(cause):
            return _of_disk("The disk is full or forbids writing", None)
    return None


def refused(error: BaseException) -> bool:
    """Whether memory or disk refused something; a file that is missing is none of these."""
    return of_memory(error) or any(isinstance(one, OSError) and one.errno in REFUSED for one in _chain(error))


def of_memory(error: BaseException) -> bool:
    """Whether an exception, or one behind it, says that memory ran out."""
    return any(isinstance(cause, MemoryError) or WITHOUT_MEMORY.search(str(cause)) for cause in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception, then those behind it."""
    behind: BaseException | None = error
    while behind is not None:
        yield behind
        behind = behind.__cause__ or behind.__context__


def _of_disk(reason: str, file: str | None) -> str:
    return f"{reason}{f' ({file})' if file else ''}; nothing was left half-written, mend it and run again"
