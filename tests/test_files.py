from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from pnas_sim.files import create_file, lies_on_network, make_plain, replace_file


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


def test_a_link_stays_one_and_a_file_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    real, link = tmp_path / "scratch" / "table.h5", tmp_path / "table.h5"
    real.write_bytes(b"old")
    real.chmod(0o664)
    link.symlink_to(real)
    replace_file(link, b"new")
    assert link.is_symlink() and real.read_bytes() == b"new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o664


MOUNTS = """\
21 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw
22 21 0:20 / /proc rw shared:5 - proc proc rw
30 21 0:40 / /scratch rw - lustre 10.0.0.1@tcp:/scratch rw
31 30 254:2 / /scratch/local rw - xfs /dev/vdb rw
32 21 0:41 / /home/my\\040files rw master:1 - nfs4 server:/home rw
"""


@pytest.mark.parametrize(
    ("path", "shared"),
    [
        ("/data/run", False),
        ("/scratch/run/log.sqlite", True),
        ("/scratch/local/run", False),
        ("/scratchy", False),
        ("/home/my files/run", True),
    ],
)
def test_what_other_machines_see_is_known(path: str, shared: bool, tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert lies_on_network(Path(path), mounts) is shared
    assert not lies_on_network(Path(path), tmp_path / "no such file")


def test_any_text_can_stand_in_a_files_name() -> None:
    assert make_plain("mlp-ensemble_2.0") == "mlp-ensemble_2.0"
    assert make_plain("../my.mod:make it") == "..~my.mod~make~it"
