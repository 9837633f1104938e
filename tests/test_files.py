from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
from pathlib import Path

import pytest

from pnas_sim.files import (
    create_file,
    follow_link,
    hide_folders,
    lies_on_network,
    make_plain,
    replace_file,
)


def test_a_file_is_replaced_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"first", b"second"):
        replace_file(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), KeyboardInterrupt()])
def test_what_fails_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    path = tmp_path / "file"
    replace_file(path, b"first")

    def fail(file: int) -> None:
        raise error

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(type(error)):
        replace_file(path, b"second")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_there_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file system has no links, too."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    for name in ("linked", "taken"):
        create_file(tmp_path / name, b"first")
        with pytest.raises(FileExistsError):
            create_file(tmp_path / name, b"second")
        assert (tmp_path / name).read_bytes() == b"first"
        monkeypatch.setattr("os.link", refuse)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["linked", "taken"]


def test_a_file_is_flushed_when_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What still stands in this process's own memory no disk is told of."""
    sizes, flush = [], os.fsync

    def note(file: int) -> None:
        if stat.S_ISREG(os.fstat(file).st_mode):
            sizes.append(os.fstat(file).st_size)
        flush(file)

    monkeypatch.setattr("os.fsync", note)
    monkeypatch.delattr(fcntl, "F_FULLFSYNC", raising=False)
    replace_file(tmp_path / "file", b"a few words")
    create_file(tmp_path / "new", b"others")
    assert sizes == [len(b"a few words"), len(b"others")]


def test_a_folder_that_cannot_be_flushed_is_no_reason_to_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on some network file systems; the file itself was flushed."""
    flush = os.fsync

    def fail_on_folders(file: int) -> None:
        if stat.S_ISDIR(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        flush(file)

    monkeypatch.setattr("os.fsync", fail_on_folders)
    replace_file(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_what_is_no_ordinary_file_is_left_alone(tmp_path: Path) -> None:
    """A device, say, which an administrator could replace."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no ordinary file"):
        replace_file(tmp_path / "pipe", b"new")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_link_that_the_user_named_stays_one_and_a_file_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    real, link = tmp_path / "scratch" / "table.h5", tmp_path / "table.h5"
    real.write_bytes(b"old")
    real.chmod(0o664)
    link.symlink_to(real)
    replace_file(follow_link(link), b"new")
    assert link.is_symlink() and real.read_bytes() == b"new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o664
    assert follow_link(Path("plain")) == Path("plain")


@pytest.mark.parametrize("there", [True, False])
def test_a_link_in_a_folder_is_replaced_and_never_followed(tmp_path: Path, there: bool) -> None:
    """Wherever a folder from elsewhere lets it lead, to nothing or to a file that is not to be changed."""
    victim, link = tmp_path / ".bashrc", tmp_path / "report.html"
    if there:
        victim.write_bytes(b"mine")
        victim.chmod(0o777)
    link.symlink_to(victim)
    replace_file(link, b"page")
    assert not link.is_symlink() and link.read_bytes() == b"page"
    assert victim.exists() is there and (not there or victim.read_bytes() == b"mine")
    assert stat.S_IMODE(link.stat().st_mode) & 0o111 == 0


@pytest.mark.parametrize("offered", [True, False])
def test_a_file_is_flushed_through_the_drive_where_the_system_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offered: bool
) -> None:
    """As macOS, whose `fsync` ends in the drive's memory; not each of its file systems offers more."""
    asked, flushed, flush = [], [], os.fsync

    def control(file: int, command: int) -> None:
        asked.append(command)
        if not offered:
            raise OSError(errno.ENOTSUP, "not supported")

    def note(file: int) -> None:
        flushed.append(file)
        flush(file)

    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", control)
    monkeypatch.setattr("os.fsync", note)
    replace_file(tmp_path / "file", b"new")
    assert asked == [51, 51]  # the file and its folder
    assert len(flushed) == (0 if offered else 2)


MOUNTS = """\
21 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw
22 21 0:20 / /proc rw shared:5 - proc proc rw
30 21 0:40 / /scratch rw - lustre 10.0.0.1@tcp:/scratch rw
31 30 254:2 / /scratch/local rw - xfs /dev/vdb rw
32 21 0:41 / /home/my\\040files rw master:1 - nfs4 server:/home rw
33 21 0:42 / /home/a\\134b\\011c rw - fuse.rclone cloud: rw
34 21 0:43 / /media/gr\xfcn rw - ext4 /dev/vdc rw
35 21 0:44 / /mnt/host rw - virtiofs host rw
36 21 0:45 / /mnt/bucket rw - fuse.s3fs s3fs rw
37 21 0:46 / /mnt/any rw - fuse.somebodys any rw
38 21 0:47 / /mnt/plain rw - fuse /dev/fuse rw
39 21 0:48 / /mnt/shared rw - gfs2 /dev/mapper/shared rw
40 21 0:49 / /mnt/cluster rw - ocfs2 /dev/sdc rw
41 21 0:50 / /mnt/disk rw - fuseblk /dev/sdd1 rw
42 21 0:51 / /mnt/layers rw - fuse.fuse-overlayfs fuse-overlayfs rw
"""
MACS = """\
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled)
//me@nas._smb._tcp.local/home on /Volumes/my home (1) (smbfs, nodev, nosuid, mounted by me)
"""


@pytest.mark.parametrize(
    ("path", "shared"),
    [
        ("/data/run", False),
        ("/scratch/run/log.sqlite", True),
        ("/scratch/local/run", False),
        ("/scratchy", False),
        ("/home/my files/run", True),
        ("/home/a\\b\tc/run", True),
        ("/mnt/host/run", True),
        ("/mnt/bucket/run", True),
        ("/mnt/any/run", True),
        ("/mnt/plain/run", True),
        ("/mnt/shared/run", True),
        ("/mnt/cluster/run", True),
        ("/mnt/disk/run", False),
        ("/mnt/layers/run", False),
        (os.fsdecode(b"/media/gr\xfcn/run"), False),
    ],
)
def test_what_other_machines_see_is_known(path: str, shared: bool, tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_bytes(MOUNTS.encode("latin-1"))
    assert lies_on_network(Path(path), mounts) is shared


@pytest.mark.parametrize(
    ("path", "shared"), [("/Volumes/my home (1)/run", True), ("/Volumes/other", False), ("/Users/me", False)]
)
def test_without_a_list_of_mounts_the_command_is_asked(
    path: str, shared: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = subprocess.CompletedProcess([], 0, MACS.encode())
    monkeypatch.setattr("subprocess.run", lambda *_, **__: done)
    assert lies_on_network(Path(path), tmp_path / "none") is shared

    def refuse(*_: object, **__: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr("subprocess.run", refuse)
    assert not lies_on_network(Path(path), tmp_path / "none")


def test_any_text_can_stand_in_a_files_name() -> None:
    assert make_plain("mlp-ensemble_2.0") == "mlp-ensemble_2.0"
    assert make_plain("../my.mod:make it") == "..~my.mod~make~it"
    assert make_plain("p" * 300) == "p" * 80
    assert make_plain("\u00fc" * 300) == "\u00fc" * 40


def test_what_is_shared_names_files_without_their_folders() -> None:
    given = {"table": "/home/me/mine.h5", "world": 1, "noise": "off", "data": "here/cifar10"}
    assert hide_folders(given) == {**given, "table": "mine.h5"}
