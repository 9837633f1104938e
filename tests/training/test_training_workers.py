from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest

from pnas_backends.training import process, train
from pnas_backends.training.data import Images
from pnas_backends.training.messages import Failure, Task, WorkerSetup
from pnas_backends.training.recipe import Recipe
from pnas_backends.training.workers import WorkerPool
from pnas_sim.errors import BackendError, DataError, WorkError
from pnas_sim.evaluate import Evaluation
from pnas_sim.space import CellSpace

PATIENCE = 120.0  # seconds after which a child that would never end does, and its test fails


def make_setup(space: CellSpace, path: Path | None, time_limit: float | None = None) -> WorkerSetup:
    return WorkerSetup(space, path, "cpu", time_limit)


def make_tasks(space: CellSpace, recipe: Recipe, count: int) -> list[Task]:
    return [Task(place, row, recipe, 1) for place, row in enumerate(space.initial()[:count])]


def is_running(process_id: int) -> bool:
    """Whether a process is at work; one that ended and that nobody has asked about is still listed."""
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def wait_for_end(process_ids: list[int]) -> None:
    give_up = time.monotonic() + 20
    while any(map(is_running, process_ids)) and time.monotonic() < give_up:
        time.sleep(0.02)
    assert not any(map(is_running, process_ids))


@pytest.fixture
def short(recipe: Recipe) -> Recipe:
    return recipe.change(epochs=0.2, test_images=0)


@pytest.fixture
def endless(recipe: Recipe) -> Recipe:
    return recipe.change(epochs=1e4, checkpoints=())  # a quarter of an hour; its batches are drawn at once


@pytest.fixture
def pool(space: CellSpace, npz_path: Path) -> Iterator[WorkerPool]:
    pool = WorkerPool([make_setup(space, npz_path, time_limit=PATIENCE)] * 2)
    yield pool
    pool.close()
    pool.close()
    assert pool.process_ids() == []


def signal_when_busy(
    pool: WorkerPool, count: int, sent: Sequence[signal.Signals], times: int = 1
) -> threading.Thread:
    """Sends signals to each worker that trains a long child, so many of them, as often as asked for."""

    def send() -> None:
        give_up = time.monotonic() + PATIENCE
        for _ in range(times):
            busy: list[process.Worker] = []
            while len(busy) < count and time.monotonic() < give_up:
                time.sleep(0.02)
                known = [place.worker for place in pool._places if place.worker]
                busy = [one for one in known if one.ready and one.task and one.task.recipe.epochs > 1]
            for worker, number in product(busy, sent):
                os.kill(worker.process_id, number)
            while any(worker.task for worker in busy) and time.monotonic() < give_up:
                time.sleep(0.02)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


def test_a_killed_worker_costs_its_child_only(
    pool: WorkerPool, space: CellSpace, short: Recipe, endless: Recipe, images: Images
) -> None:
    """The first two children would never end: killed once they are tried again, killed twice they failed."""
    never, others = make_tasks(space, endless, 2), make_tasks(space, short, 6)[2:]
    killer = signal_when_busy(pool, 2, [signal.SIGKILL], times=2)
    outcomes = dict(pool.run([*never, *others]))
    killer.join()
    assert sorted(outcomes) == list(range(6))
    for place in (0, 1):
        failed = outcomes[place]
        assert isinstance(failed, Failure) and failed.machine and failed.seconds > 0
        assert failed.reason == "the worker process was killed by SIGKILL; out of memory, perhaps"
    for task in others:
        expected = train.train_child(task.row, short, images, 1, "cpu", space)
        found = outcomes[task.place]
        assert isinstance(found, Evaluation)
        assert (found.cell, found.curve) == (expected.cell, expected.curve)


def test_images_that_do_not_fit_are_no_fault_of_children(
    space: CellSpace, short: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where another job has the memory of a GPU."""
    crowded = process.START.replace(
        "serve(int", "import pnas_backends.training.serving as s; s._load = lambda *_: 1 / 0; serve(int"
    )
    monkeypatch.setattr(process, "START", crowded)
    pool = WorkerPool([make_setup(space, None)], pauses=())
    with pytest.raises(
        WorkError, match="ended 1 times without an answer: ZeroDivisionError: division by zero"
    ):
        list(pool.run(make_tasks(space, short, 2)))
    pool.close()


def test_a_signal_for_the_whole_job_ends_no_child(space: CellSpace, npz_path: Path, short: Recipe) -> None:
    """Schedulers send it to every process; it is the parent that goes, and closes the pipes."""
    with closing(WorkerPool([make_setup(space, npz_path, time_limit=PATIENCE)])) as pool:
        (first,) = pool.run(make_tasks(space, short, 1))
        process_ids = pool.process_ids()
        sender = signal_when_busy(pool, 1, process.JOB_SIGNALS)
        (second,) = pool.run(make_tasks(space, short.change(epochs=5), 2)[1:])
        sender.join()
        assert isinstance(first[1], Evaluation) and isinstance(second[1], Evaluation)
        assert pool.process_ids() == process_ids and all(map(is_running, process_ids))


def test_giving_up_an_iteration_leaves_no_process_at_work(
    pool: WorkerPool, space: CellSpace, short: Recipe, endless: Recipe
) -> None:
    running = pool.run([*make_tasks(space, short, 1), *make_tasks(space, endless, 3)[1:]])
    assert next(running)[0] == 0
    with pytest.raises(BackendError, match="finish or close"):
        next(pool.run(make_tasks(space, short, 1)))
    process_ids = pool.process_ids()
    running.close()
    busy = set(process_ids) - set(pool.process_ids())
    assert busy
    wait_for_end(list(busy))
    assert len(list(pool.run(make_tasks(space, short, 2)))) == 2


def test_workers_leave_when_their_parent_is_killed(npz_path: Path, endless: Recipe, tmp_path: Path) -> None:
    code = f"""
import os, sys, threading, time
from pathlib import Path
from pnas_backends.training.recipe import Recipe
from pnas_backends.training.workers import Task, WorkerPool, WorkerSetup
from pnas_sim.space import CellSpace
space = CellSpace()
pool = WorkerPool([WorkerSetup(space, Path({str(npz_path)!r}), "cpu", None)])
recipe = Recipe.model_validate_json(sys.argv[1])
def tell():
    while not any(worker.ready for worker in [place.worker for place in pool._places] if worker):
        time.sleep(0.02)
    print(pool.process_ids()[0], flush=True)
threading.Thread(target=tell, daemon=True).start()
list(pool.run([Task(0, space.initial()[0], recipe, 1)]))
"""
    parent = subprocess.Popen([sys.executable, "-c", code, endless.model_dump_json()], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent.stdout:
        process_id = int(parent.stdout.readline())
        assert is_running(process_id)
        parent.kill()
    parent.wait()
    wait_for_end([process_id])


def test_time_limit_ends_a_child(space: CellSpace, npz_path: Path, endless: Recipe, short: Recipe) -> None:
    pool = WorkerPool([make_setup(space, npz_path, time_limit=2.0)])
    try:
        outcomes = dict(pool.run([*make_tasks(space, endless, 1), *make_tasks(space, short, 2)[1:]]))
    finally:
        pool.close()
    failed = outcomes[0]
    assert isinstance(failed, Failure)
    assert failed.reason.startswith("time limit of 2 s reached at step ")
    assert failed.seconds > 0
    assert isinstance(outcomes[1], Evaluation)


def test_a_worker_that_does_not_stop_by_itself_is_killed(
    space: CellSpace, npz_path: Path, endless: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "GRACE", -29.0)
    pool = WorkerPool([make_setup(space, npz_path, time_limit=30.0)])
    try:
        outcomes = dict(pool.run(make_tasks(space, endless, 1)))
        assert pool.process_ids() == []
    finally:
        pool.close()
    failed = outcomes[0]
    assert isinstance(failed, Failure)
    assert failed.reason == "time limit of 30 s" and failed.seconds > 0 and failed.late and not failed.machine


def test_images_that_cannot_be_loaded_are_the_callers_error(
    space: CellSpace, short: Recipe, tmp_path: Path
) -> None:
    pool = WorkerPool([make_setup(space, tmp_path / "gone.npz")])
    with pytest.raises(DataError, match=r"there is no file .*gone\.npz"):
        list(pool.run(make_tasks(space, short, 1)))
    pool.close()
