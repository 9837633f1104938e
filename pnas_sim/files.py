"""Writing files so that they are there whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

RUN_LOG = "evaluations.sqlite"  # in a run's folder

FULL = frozenset((errno.ENOSPC, errno.EDQUOT))  # what file systems say that have no room
# what file systems say that cannot do a thing at all; the file itself is safe by then
NOT_OFFERED = frozenset(
    (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES, errno.EPERM)
)
NETWORK_KINDS = frozenset(  # of file systems, as Linux names them
    (
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "ceph", "afs", "panfs"),
        *("orangefs", "wekafs", "glusterfs", "fuse.glusterfs", "fuse.ceph", "fuse.sshfs", "fuse.juicefs"),
    )
)


def replace_file(path: Path, content: bytes) -> None:
    """Replaces a file in one step: new file beside it, flushed to the disk, renamed, folder flushed.

    A link stays one, to the file that is replaced; a file keeps who may read and write it.

    Raises:
        OSError: as the disk says; what was there is unchanged.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is no ordinary file", str(path))
    _put(path, content, lambda fresh: fresh.replace(path))


def create_file(path: Path, content: bytes) -> None:
    """Makes a file that is not there yet, whole, in one step: of several processes only one does.

    Raises:
        FileExistsError: it is there.
        OSError: as the disk says.
    """

    def link(fresh: Path) -> None:
        try:
            os.link(fresh, path)
        except OSError as error:
            if error.errno not in NOT_OFFERED:
                raise
            # no links there: whoever makes the empty file has the name
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            fresh.replace(path)
        else:
            fresh.unlink()

    _put(path, content, link)


def make_folder_anew(base: Path) -> Path:
    """Makes the folder `base`, or `base-2` and so on: the first that is not there yet.

    Raises:
        OSError: it cannot be made.
    """
    base.parent.mkdir(parents=True, exist_ok=True)
    path, number = base, 1
    while True:
        try:
            path.mkdir()
        except FileExistsError:
            number += 1
            path = base.with_name(f"{base.name}-{number}")
        else:
            return path


def lies_on_network(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> bool:
    """Whether a path is on a file system that other machines see; no, where this system does not tell.

    Args:
        path: of a file or folder, there or not.
        mounts: where the system says what is mounted, in the form of proc(5).
    """
    try:
        lines = mounts.read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    where, longest, kind = path.resolve(), 0, ""
    for line in lines:
        before, _, after = line.partition(" - ")
        mount = Path(before.split()[4].replace("\\040", " "))
        if where.is_relative_to(mount) and len(mount.parts) >= longest:  # of several in one place the last
            longest, kind = len(mount.parts), after.split()[0]
    return kind in NETWORK_KINDS


def make_plain(text: str) -> str:
    """A text as part of a file's name: letters, digits, `-`, `_` and `.`, all else `~`."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "~" for letter in text)


def _put(path: Path, content: bytes, place: Callable[[Path], object]) -> None:
    """Writes a file under another name, flushes it, has it placed, and flushes the folder."""
    # other machines have processes of this number, too
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.new")
    try:
        with fresh.open("xb") as file:
            file.write(content)
            _keep_mode(path, file.fileno())
            file.flush()
            os.fsync(file.fileno())
        place(fresh)
    except BaseException:  # an interruption, too, leaves nothing half-written behind
        _remove(fresh)
        raise
    _flush_folder(path.parent)


def _keep_mode(path: Path, file: int) -> None:
    """Lets who may read and write a file's successor, as far as the file system knows of it."""
    if not path.exists():
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    try:
        if stat.S_IMODE(os.fstat(file).st_mode) != mode:
            os.fchmod(file, mode)
    except OSError as error:
        if error.errno not in NOT_OFFERED:
            raise


def _flush_folder(path: Path) -> None:
    """Flushes a folder where its file system can; there the new name is kept through a power cut."""
    try:
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        if error.errno not in NOT_OFFERED:
            raise


def _remove(path: Path) -> None:
    """Removes what was begun; where even that fails, the first error is the one to tell."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return
