"""One at a time changes a table's file: between reading it again and writing it, nobody else writes.

A build, a fit and a verification take hours and may be of one file. Each keeps what it has to add, and adds
it at its end to what the file holds then, not to what it held when the work began. The lock is a file beside
the table, `TABLE.lock`, that is there only meanwhile; one that a killed process left is in nobody's way.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pnas_sim.errors import TableError, WorkError
from pnas_sim.files import NOT_OFFERED, follow_link
from pnas_tables.format import read_table, write_table
from pnas_tables.record import Table

LOCK_SUFFIX = ".lock"
PATIENCE = 120.0  # seconds; who has the lock reads and writes one file
STEP = 0.02  # seconds between two tries
TAKEN = frozenset((errno.EAGAIN, errno.EACCES))  # what a lock that somebody has says
NO_LOCKS = (NOT_OFFERED | {errno.ENOLCK}) - TAKEN  # what a file system without locks says


def update_table(path: Path, change: Callable[[Table | None], Table]) -> Table:
    """Changes a table's file, whoever else does at that moment.

    Args:
        path: of the file; a link is followed.
        change: makes the new table of the one that is there now, None if there is none. A table without cells
            is not written.

    Returns:
        The table as written.

    Raises:
        TableError: the file is damaged, or the new table breaks a rule of the format.
        WorkError: it cannot be written.
    """
    with lock_table(path):
        table = change(read_table(path) if path.exists() else None)
        if len(table):
            write_table(path, table)
    return table


@contextmanager
def lock_table(path: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Has the file to itself, as far as others ask for this lock, too; not to be nested.

    Args:
        path: of the table, there or not; by a link it is the same lock.
        patience: seconds to wait for others.

    Raises:
        TableError: a link stands in the lock's place.
        WorkError: the folder cannot be written, or others do not come to an end.
    """
    whole = follow_link(path)
    lock = whole.with_name(f"{whole.name}{LOCK_SUFFIX}")
    handle = _acquire(lock, time.monotonic() + patience)
    try:
        yield
    finally:
        with suppress(OSError):
            lock.unlink()  # while it is held: who waits for it sees that, and asks for the next one
        os.close(handle)


def _acquire(lock: Path, deadline: float) -> int:
    """An open file that is locked, and is the one that stands there."""
    while True:
        handle = _open(lock)
        try:
            if _take(handle, lock) and _is_there(handle, lock):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
        if time.monotonic() > deadline:
            raise WorkError(
                f"{lock} is held by another command, which writes the table; let that end, then try again"
            )
        time.sleep(STEP)


def _open(lock: Path) -> int:
    try:
        return os.open(lock, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise TableError(f"lock {lock} is a link; remove it, and give the same command again") from None
        reason = error.strerror or error
        raise WorkError(f"{lock} cannot be written: {reason}; the table is unchanged") from None


def _take(handle: int, lock: Path) -> bool:
    """Whether the lock could be had; a file system that has no locks is written without."""
    import fcntl  # late: no POSIX system, no such module, and that is for the command to say

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in TAKEN:
            return False
        if error.errno not in NO_LOCKS:
            raise WorkError(f"{lock} cannot be locked: {error.strerror}; the table is unchanged") from None
    return True


def _is_there(handle: int, lock: Path) -> bool:
    """Whether the lock is not one that was removed by who had it before."""
    try:
        return os.path.samestat(os.fstat(handle), lock.lstat())
    except FileNotFoundError:
        return False
