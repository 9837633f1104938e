"""Writing files so that they are there whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

RUN_LOG = "evaluations.sqlite"  # in a run's folder

FULL = frozenset((errno.ENOSPC, errno.EDQUOT))  # what file systems say that have no room
# what file systems say that cannot do a thing at all; the file itself is safe by then
NOT_OFFERED = frozenset(
    (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES, errno.EPERM)
)
LONGEST_PLAIN = 80  # bytes; a name may have 255, and more than one text stands in it
NETWORK_KINDS = frozenset(  # of file systems, as Linux and macOS name them; a virtual host's folders, too
    (
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "ceph", "afs", "panfs"),
        *("orangefs", "wekafs", "glusterfs", "gfs2", "ocfs2", "9p", "virtiofs", "vmhgfs", "vboxsf", "prl_fs"),
        *("afpfs", "webdav", "macfuse", "osxfuse", "fuse"),
    )
)
FUSE = "fuse."  # what a program makes, mostly of something that is elsewhere; known not to be:
LOCAL_FUSE = frozenset(("fuse.fuse-overlayfs",))  # of containers
_ESCAPED = re.compile(r"\\([0-7]{3})")  # what proc(5) writes for a blank, say
_MOUNTED = re.compile(r".* on (/.*) \((\w+)[,)]")  # a line of macOS's `mount`


def replace_file(path: Path, content: bytes) -> None:
    """Replaces a file in one step: new file beside it, flushed to the disk, renamed, folder flushed.

    A link is itself replaced: in a folder that somebody else made it may lead to any file. Where the user
    named the file, see `follow_link`. A file keeps who may read and write it.

    Raises:
        OSError: as the disk says; what was there is unchanged.
    """
    if path.exists() and not path.is_file() and not path.is_symlink():
        raise OSError(errno.EINVAL, "it is no ordinary file", str(path))
    _put(path, content, lambda fresh: fresh.replace(path))


def follow_link(path: Path) -> Path:
    """The file that a user means by a path: where it is a link, what that leads to, there or not."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


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
    """Whether a path is on a file system that other machines may see; no, where this system does not tell.

    Args:
        path: of a file or folder, there or not.
        mounts: where the system says what is mounted, in the form of proc(5).
    """
    where, longest, kind = path.resolve(), 0, ""
    for mount, kind_there in _list_mounts(mounts):
        if where.is_relative_to(mount) and len(mount.parts) >= longest:  # of several in one place the last
            longest, kind = len(mount.parts), kind_there
    return kind in NETWORK_KINDS or (kind.startswith(FUSE) and kind not in LOCAL_FUSE)


def make_plain(text: str) -> str:
    """A text as part of a file's name: letters, digits, `-`, `_` and `.`, all else `~`; 80 bytes at most."""
    plain = "".join(letter if letter.isalnum() or letter in "-_." else "~" for letter in text)
    return plain.encode("utf-8")[:LONGEST_PLAIN].decode("utf-8", "ignore")


def hide_folders(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options to be shared: of files that stand there with their whole path, the names alone."""
    return {
        name: Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value
        for name, value in options.items()
    }


def _list_mounts(mounts: Path) -> Iterator[tuple[Path, str]]:
    """Where something is mounted, and the kind of its file system; names may be of any bytes."""
    try:
        lines = os.fsdecode(mounts.read_bytes()).split("\n")
    except OSError:
        yield from _ask_mount()
        return
    for line in filter(None, lines):
        before, _, after = line.partition(" - ")
        place = _ESCAPED.sub(lambda found: chr(int(found[1], 8)), before.split(" ")[4])
        yield Path(place), after.split(" ")[0]


def _ask_mount() -> Iterator[tuple[Path, str]]:
    """As `_list_mounts`, where there is no file that says it, as on macOS."""
    import subprocess

    try:
        told = subprocess.run(["/sbin/mount"], capture_output=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return
    for line in os.fsdecode(told).split("\n"):
        if found := _MOUNTED.match(line):
            yield Path(found[1]), found[2]


def _put(path: Path, content: bytes, place: Callable[[Path], object]) -> None:
    """Writes a file under another name, flushes it, has it placed, and flushes the folder."""
    # other machines have processes of this number, too
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.new")
    try:
        with fresh.open("xb") as file:
            file.write(content)
            _keep_mode(path, file.fileno())
            file.flush()
            _flush(file.fileno())
        place(fresh)
    except BaseException:  # an interruption, too, leaves nothing half-written behind
        _remove(fresh)
        raise
    _flush_folder(path.parent)


def _keep_mode(path: Path, file: int) -> None:
    """Lets who may read and write a file's successor, as far as the file system knows of it."""
    if path.is_symlink() or not path.exists():
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    try:
        if stat.S_IMODE(os.fstat(file).st_mode) != mode:
            os.fchmod(file, mode)
    except OSError as error:
        if error.errno not in NOT_OFFERED:
            raise


def _flush(file: int) -> None:
    """Flushes a file or folder to the disk itself; on macOS `fsync` ends in the drive's own memory."""
    import fcntl  # late: no POSIX system, no such module, and that is for the command to say

    whole = getattr(fcntl, "F_FULLFSYNC", None)
    if whole is not None:
        with suppress(OSError):  # not every file system has it
            fcntl.fcntl(file, whole)
            return
    os.fsync(file)


def _flush_folder(path: Path) -> None:
    """Flushes a folder where its file system can; there the new name is kept through a power cut."""
    try:
        folder = os.open(path, os.O_RDONLY)
        try:
            _flush(folder)
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
