"""One at a time changes a table's file: between reading it again and writing it, nobody else writes.

A build, a fit and a verification take hours and may be of one file. Each keeps what it has to add, and adds
it at its end to what the file holds then, not to what it held when the work began. The lock is a file beside
the table, `TABLE.lock`, that is there only meanwhile; one that a killed process left is in nobody's way.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pnas_sim.errors import TableError, WorkError
from pnas_sim.files import follow_link
from pnas_sim.locks import release_lock, take_lock
from pnas_tables.format import read_table, write_table
from pnas_tables.record import Table

LOCK_SUFFIX = ".lock"
PATIENCE = 120.0  # seconds; who has the lock reads and writes one file
STEP = 0.02  # seconds between two tries


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
        release_lock(handle, lock)


def _acquire(lock: Path, deadline: float) -> int:
    """The lock, once others are done with it."""
    while True:
        try:
            return take_lock(lock)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise WorkError(
                    f"{lock} is held by another command, which writes the table; let that end, then try again"
                ) from None
        except OSError as error:
            if error.errno == errno.ELOOP:
                told = f"lock {lock} is a link; remove it, and give the same command again"
                raise TableError(told) from None
            what = "written" if error.filename else "locked"
            reason = error.strerror or error
            raise WorkError(f"{lock} cannot be {what}: {reason}; the table is unchanged") from None
        time.sleep(STEP)
