from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pnas_sim.errors import TableError, WorkError
from pnas_sim.space import CellSpace
from pnas_tables.build import BuildProgress, build_table
from pnas_tables.format import read_table, write_table
from pnas_tables.locking import lock_table, update_table
from pnas_tables.merge import merge_tables
from pnas_tables.plans import Jobs, Plan, Step, list_jobs
from pnas_tables.record import Table, take_cells
from pnas_tables.testing import MadeUpTrainer, made_up_head

HOLD = """
import sys, time
from pathlib import Path
from pnas_tables.locking import lock_table
with lock_table(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def jobs_of(space: CellSpace, count: int, seed: int = 0) -> Jobs:
    return list_jobs(Plan("x", 0, (Step("uniform", 3, 0, count, seed),)), space)


def test_one_at_a_time_has_the_lock_and_nothing_is_left_of_it(tmp_path: Path) -> None:
    """Each removes its file, so that some wait for one that is gone: whoever gets that has nothing."""
    inside, most, done = 0, 0, 0

    def work() -> None:
        nonlocal inside, most, done
        for _ in range(10):
            with lock_table(tmp_path / "x.h5"):
                inside += 1
                most = max(most, inside)
                time.sleep(0.001)
                inside -= 1
                done += 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, done) == (1, 60) and not list(tmp_path.iterdir())


def test_a_lock_that_was_removed_while_it_was_waited_for_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, taken = fcntl.flock, []

    def lose(handle: int, how: int) -> None:
        take(handle, how)
        taken.append(os.fstat(handle).st_ino)
        if len(taken) == 1:  # who had it removes it, and the next one makes another
            (tmp_path / "x.h5.lock").rename(tmp_path / "gone")
        if len(taken) == 2:
            (tmp_path / "x.h5.lock").rename(tmp_path / "gone, too")
            (tmp_path / "x.h5.lock").touch()

    monkeypatch.setattr(fcntl, "flock", lose)
    with lock_table(tmp_path / "x.h5"):
        assert len(set(taken)) == len(taken) == 3
        assert (tmp_path / "x.h5.lock").stat().st_ino == taken[-1]


def test_another_process_is_waited_for_but_not_for_ever(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "x.h5")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == b"held\n"
            with pytest.raises(WorkError, match=r"x\.h5\.lock is held by another command"):  # noqa: SIM117
                with lock_table(tmp_path / "x.h5", patience=0.1):
                    pass
            (tmp_path / "link.h5").symlink_to(tmp_path / "x.h5")
            with pytest.raises(WorkError, match="is held by another"):  # noqa: SIM117
                with lock_table(tmp_path / "link.h5", patience=0.1):
                    pass
        finally:
            process.send_signal(signal.SIGKILL)
    assert (tmp_path / "x.h5.lock").exists(), "what a kill leaves"
    with lock_table(tmp_path / "x.h5", patience=5):
        pass
    assert not (tmp_path / "x.h5.lock").exists()


def test_a_lock_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.h5.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(TableError, match=r"x\.h5\.lock is a link; remove it"), lock_table(tmp_path / "x.h5"):
        pass
    assert not (tmp_path / "victim").exists()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(WorkError, match="No such file or directory; the table is unchanged"):  # noqa: SIM117
        with lock_table(tmp_path / "gone" / "x.h5"):
            pass


@pytest.mark.parametrize(
    ("number", "goes_on"), [(errno.ENOLCK, True), (errno.ENOTSUP, True), (errno.EIO, False)]
)
def test_a_file_system_without_locks_is_written_without(
    number: int, goes_on: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(handle: int, how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    if goes_on:
        with lock_table(tmp_path / "x.h5"):
            pass
    else:
        with (
            pytest.raises(WorkError, match="cannot be locked: Input/output error"),
            lock_table(tmp_path / "x.h5"),
        ):
            pass


def test_what_fails_under_the_lock_lets_it_go_and_leaves_the_table(table: Table, tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    write_table(path, table)

    def fail(now: Table | None) -> Table:
        raise TableError("it does not fit")

    with pytest.raises(TableError, match="it does not fit"):
        update_table(path, fail)
    assert len(read_table(path)) == len(table) and [one.name for one in tmp_path.iterdir()] == ["x.h5"]


def test_a_table_is_made_where_there_is_none_but_not_without_cells(table: Table, tmp_path: Path) -> None:
    found: list[Table | None] = []

    def add(now: Table | None) -> Table:
        found.append(now)
        return table

    update_table(tmp_path / "x.h5", add)
    update_table(tmp_path / "x.h5", add)
    assert found[0] is None and found[1] is not None and len(found[1]) == len(table)
    empty = take_cells(table, table.run_cells[:0])
    update_table(tmp_path / "y.h5", lambda now: empty)
    assert [one.name for one in tmp_path.iterdir()] == ["x.h5"]


def test_of_many_writers_at_once_none_is_lost(table: Table, tmp_path: Path) -> None:
    path, parts = tmp_path / "x.h5", [take_cells(table, np.array([cell])) for cell in range(20)]

    def add(part: Table) -> None:
        update_table(path, lambda now: merge_tables([*([now] if now else []), part], "made-up"))

    threads = [threading.Thread(target=add, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_table(path)) == 20


@pytest.mark.parametrize("save_every", [1, 100])
def test_what_others_add_while_a_build_goes_on_stays(
    save_every: int, space: CellSpace, tmp_path: Path
) -> None:
    """Here a verification's trainings, between two children, and at the end."""
    out, head = tmp_path / "x.h5", made_up_head(space)
    others = [jobs_of(space, 3, seed) for seed in (1, 2)]
    trainer = MadeUpTrainer(space)

    def add(step: BuildProgress) -> None:
        if step.trained in (2, 5):
            jobs = others[step.trained // 3]
            path = tmp_path / f"{step.trained}.h5"
            more = build_table(jobs, head, path, trainer, provenance={"command": path.name})
            update_table(out, lambda now: merge_tables([*([now] if now else []), more], "made-up"))

    build_table(jobs_of(space, 2), head, out, trainer, provenance={"command": "first"})
    table = build_table(
        jobs_of(space, 7), head, out, trainer, provenance={}, save_every=save_every, progress=add
    )
    assert len(read_table(out).seeds) == len(table.seeds) == 7 + 3 + 3
    assert not list(tmp_path.glob("x.h5.*"))


def test_a_build_that_cannot_write_its_table_keeps_its_journal(space: CellSpace, tmp_path: Path) -> None:
    """A table that does not fit any more was put in its place."""
    out, head = tmp_path / "x.h5", made_up_head(space)

    def spoil(step: BuildProgress) -> None:
        if step.trained == 3:
            other = replace(head, recipe={"trainer": "other", "epochs": 1.0})
            build_table(jobs_of(space, 2), other, tmp_path / "y.h5", MadeUpTrainer(space), provenance={})
            (tmp_path / "y.h5").replace(out)

    with pytest.raises(TableError, match="differ in their recipe"):
        build_table(jobs_of(space, 4), head, out, MadeUpTrainer(space), provenance={}, progress=spoil)
    assert (tmp_path / "x.h5.journal.sqlite").exists()
    out.unlink()
    told: list[BuildProgress] = []
    build_table(jobs_of(space, 5), head, out, MadeUpTrainer(space), provenance={}, progress=told.append)
    assert len(read_table(out)) == 5 and len(told) == 1
