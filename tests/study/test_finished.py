from __future__ import annotations

import errno
import zipfile
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pnas_sim.errors import RunError, WorkError
from pnas_sim.study.finished import FinishedRun, Place, find_fingerprint, read_run, write_run

MakeRun = Callable[..., FinishedRun]


def test_what_is_written_is_read(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run([0.5, np.nan, 0.25], [0.4, 0.3, np.nan], [1, 1, 2], label="a b", world=3, seed=7)
    path = tmp_path / "new" / run.facts.place.file_name
    write_run(path, run)
    again = read_run(path)
    assert again.facts == run.facts
    for name in ("cells", "blocks", "values", "expected", "examples", "seconds", "proposals"):
        np.testing.assert_array_equal(getattr(again, name), getattr(run, name))
    assert [one.name for one in path.parent.iterdir()] == [path.name]


@given(labels=st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=2, unique=True))
def test_labels_that_differ_have_files_that_differ(labels: list[str]) -> None:
    one, other = (Place(label, 0, 0).file_name for label in labels)
    assert one.casefold() != other.casefold()
    assert Path(one).name == one


def test_labels_of_any_length_have_files_and_plain_ones_keep_their_names() -> None:
    assert Place("pnas-mlp_2", 1, 3).file_name == "pnas-mlp_2-w1-s3.npz"
    long = [Place(label, 0, 0).file_name for label in ("p" * 300, "p" * 301, "\u00fc" * 300)]
    assert len(set(long)) == 3 and all(len(name.encode()) < 120 for name in long)


def test_half_a_file_is_damaged(make_run: MakeRun, tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    write_run(path, make_run([0.5] * 100))
    whole = path.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:size])
        with pytest.raises(RunError, match=r"run\.npz is damaged"):
            read_run(path)


def test_missing_and_foreign_files_are_named(make_run: MakeRun, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is missing"):
        read_run(tmp_path / "none.npz")
    np.savez(tmp_path / "foreign.npz", facts=np.array('{"schema": 99}'), values=np.zeros(2))
    with pytest.raises(RunError, match="damaged"):
        read_run(tmp_path / "foreign.npz")
    run = make_run([0.5, 0.6])
    write_run(tmp_path / "uneven.npz", replace(run, seconds=np.zeros(1)))
    with pytest.raises(RunError, match="differ in length"):
        read_run(tmp_path / "uneven.npz")


def test_pickled_arrays_are_never_loaded(make_run: MakeRun, tmp_path: Path) -> None:
    np.savez(tmp_path / "evil.npz", facts=np.array([{"a": 1}], dtype=object))
    with pytest.raises(RunError, match="damaged"):
        read_run(tmp_path / "evil.npz")


def test_a_small_file_that_says_it_holds_much_is_not_unpacked(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.npz"
    write_run(path, make_run([0.5] * 1000))
    assert len(read_run(path)) == 1000
    monkeypatch.setattr("pnas_sim.study.finished.LARGEST", 20_000)
    with pytest.raises(
        RunError, match=r"run\.npz is damaged \(it says that it holds \d+ bytes, the limit is 20000"
    ):
        read_run(path)


def test_an_array_that_is_shorter_than_its_own_head_says_is_damaged(
    make_run: MakeRun, tmp_path: Path
) -> None:
    path, head = tmp_path / "run.npz", BytesIO()
    write_run(path, make_run([0.5]))
    np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (2**55,)})
    with zipfile.ZipFile(path) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in {**parts, "values.npy": head.getvalue()}.items():
            packed.writestr(name, content)
    with pytest.raises(RunError, match=r"run\.npz is damaged"):
        read_run(path)


def test_unwritable_folder_is_work_that_failed(make_run: MakeRun, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WorkError, match="same command again"):
        write_run(tmp_path / "file" / "run.npz", make_run([0.5]))


def test_full_disk_leaves_nothing_half_written(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.npz"
    write_run(path, make_run([0.5]))

    def fill(number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", fill)
    with pytest.raises(WorkError, match=r"run\.npz: the disk is full; make room, then give the same command"):
        write_run(path, make_run([0.6, 0.7]))
    assert [one.name for one in tmp_path.iterdir()] == ["run.npz"]
    assert len(read_run(path)) == 1


def test_fingerprint_knows_values_not_their_order() -> None:
    one = find_fingerprint({"beam": 8, "search": "pnas"})
    assert one == find_fingerprint({"search": "pnas", "beam": 8})
    assert one != find_fingerprint({"search": "pnas", "beam": 9})
