"""Locks of files that one process at a time may have: a file beside them that is there only meanwhile."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from pnas_sim.files import NOT_OFFERED

NO_LOCKS = NOT_OFFERED | {errno.ENOLCK}  # what a file system without locks says


def take_lock(lock: Path) -> int:
    """An open file that is locked, and is the one that stands there; for `release_lock`.

    One that a killed process left is in nobody's way. A file system without locks is as if it had them.

    Raises:
        OSError: as the system says, with the file's name where it cannot be opened (ELOOP of a link); a
            `BlockingIOError` where somebody else has the lock.
    """
    import fcntl  # late: no POSIX system, no such module, and that is for the command to say

    while True:
        handle = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno == errno.EACCES:  # how some file systems say that it is taken
                    raise BlockingIOError(error.errno, error.strerror) from None
                if error.errno not in NO_LOCKS:
                    raise
            with suppress(FileNotFoundError):  # who had it before may have removed it
                if os.path.samestat(os.fstat(handle), lock.lstat()):
                    return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def release_lock(handle: int, lock: Path) -> None:
    """Gives a lock back that `take_lock` took."""
    with suppress(OSError):
        lock.unlink()  # while it is held: who opened it meanwhile sees that, and makes the next one
    os.close(handle)
