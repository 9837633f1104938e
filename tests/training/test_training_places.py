"""Workers that are stubs: who is to blame for a child without an accuracy, and what becomes of it."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pnas_backends.training import process
from pnas_backends.training.messages import Failure, Outcome, Task, WorkerSetup
from pnas_backends.training.recipe import DIGITS
from pnas_backends.training.workers import WorkerPool
from pnas_sim.errors import WorkError
from pnas_sim.space import CellSpace

SPACE = CellSpace()
STUB = """
import os, resource, signal, sys, time
from multiprocessing.connection import Connection
from pnas_backends.training.messages import Failure
from pnas_sim.evaluate import Evaluation
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
connection = Connection(int(sys.argv[1]))
setup = connection.recv()
{begin}
connection.send(None)
while task := connection.recv():
{deed}
    connection.send(Evaluation(cell="trained"))
"""


@dataclass
class Stub:
    """Pools whose workers train nothing."""

    patch: pytest.MonkeyPatch
    folder: Path

    def open(
        self,
        deed: str = "pass",
        *,
        begin: str = "",
        devices: tuple[str, ...] = ("cpu",),
        limit: float | None = None,
        pauses: tuple[float, ...] = (0.0, 0.0),
    ) -> WorkerPool:
        """A pool whose workers do a deed (lines of Python) for each `task`, then say that it is trained.

        They know their `setup`, in which `data` is an empty folder; what they do first is `begin`.
        """
        lines = "\n".join(f"    {line}" for line in deed.strip().splitlines())
        self.patch.setattr(process, "START", STUB.replace("{begin}", begin).replace("{deed}", lines))
        return WorkerPool([WorkerSetup(SPACE, self.folder, device, limit) for device in devices], pauses)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stub:
    return Stub(monkeypatch, tmp_path)


def make_tasks(count: int) -> list[Task]:
    return [Task(place, row, DIGITS, 1) for place, row in enumerate(SPACE.initial()[:count])]


def tell(outcomes: Iterable[tuple[int, Outcome]]) -> list[str]:
    """What became of each task, in their order."""
    by_place = dict(outcomes)
    found = [by_place[place] for place in range(len(by_place))]
    return [one.reason if isinstance(one, Failure) else one.cell for one in found]


def test_no_time_limit_is_too_long_to_wait_for(stub: Stub) -> None:
    """The system waits for 24 days at most."""
    with closing(stub.open("time.sleep(0.2)", limit=3e6)) as pool:
        assert tell(pool.run(make_tasks(2))) == ["trained"] * 2


ONCE = """
mark = setup.data / "once"
if task.place == 0 and not mark.exists():
    mark.touch()
    {deed}
"""


@pytest.mark.parametrize(
    "deed",
    [
        *(f"os.kill(os.getpid(), signal.{name})" for name in ("SIGKILL", "SIGSEGV", "SIGABRT", "SIGBUS")),
        *("os._exit(3)", "os._exit(0)", "os.kill(os.getpid(), signal.SIGTERM)"),
        "os.kill(os.getpid(), signal.SIGUSR1)",
    ],
)
def test_a_child_whose_worker_ended_is_trained_once_more(stub: Stub, deed: str) -> None:
    with closing(stub.open(ONCE.replace("{deed}", deed))) as pool:
        assert tell(pool.run(make_tasks(3))) == ["trained"] * 3


def test_a_signal_for_the_job_costs_no_try(stub: Stub) -> None:
    """However often it comes, as long as others are trained between."""
    deed = """
times = len(list(setup.data.iterdir()))
if task.place == 0 and times < 2:
    (setup.data / str(times)).touch()
    os.kill(os.getpid(), signal.SIGTERM)
"""
    with closing(stub.open(deed)) as pool:
        assert tell(pool.run(make_tasks(2))) == ["trained"] * 2


def test_a_worker_killed_between_two_calls_costs_no_child(stub: Stub) -> None:
    with closing(stub.open(pauses=())) as pool:
        for _ in range(2):
            assert tell(pool.run(make_tasks(2))) == ["trained"] * 2
            (process_id,) = pool.process_ids()
            os.kill(process_id, signal.SIGKILL)
            os.waitid(os.P_PID, process_id, os.WEXITED | os.WNOWAIT)  # it ended, and its pool is not told


@pytest.mark.parametrize(
    ("begin", "limit", "complaint"),
    [
        ("sys.exit(3)", 600.0, "the worker process ended with exit code 3; what was answered is kept"),
        ("time.sleep(60)", 0.2, "a worker was not ready after 0.2 s"),
    ],
)
def test_workers_that_cannot_start_are_no_fault_of_children(
    begin: str, limit: float, complaint: str, stub: Stub
) -> None:
    stub.patch.setattr(process, "START_LIMIT", limit)
    with (
        closing(stub.open(begin=begin)) as pool,
        pytest.raises(WorkError, match=f"ended 3 times without an answer: {complaint}"),
    ):
        list(pool.run(make_tasks(4)))


def test_a_device_that_is_lost_leaves_the_work_to_the_others(stub: Stub) -> None:
    lost = 'if setup.device == "cuda": sys.exit(3)'
    with (
        closing(stub.open("time.sleep(0.1)", begin=lost, devices=("cuda", "cpu"))) as pool,
        pytest.warns(RuntimeWarning, match="worker 1 of 2 on cuda is given up, it ended 3 times"),
    ):
        assert tell(pool.run(make_tasks(30))) == ["trained"] * 30


def test_a_start_that_fails_for_a_moment_ends_nothing(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where another program has all processes that a user may have; a place rests ever longer."""
    start, refusals = subprocess.Popen, [errno.EAGAIN, errno.ENOMEM]
    begun = []

    def refuse(*words: Any, **more: Any) -> Any:
        begun.append(time.monotonic())
        if refusals:
            raise OSError(refusals.pop(), "not now")
        return start(*words, **more)

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with closing(stub.open(pauses=(0.3, 0.6))) as pool:
        assert tell(pool.run(make_tasks(2))) == ["trained"] * 2
    first, second = np.diff(begun)
    assert first >= 0.3 and second >= 0.6


def test_a_start_that_goes_on_failing_is_told(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    pool = stub.open(devices=("cpu", "cpu"))
    with (
        pytest.warns(RuntimeWarning, match="worker 1 of 2 on cpu is given up"),
        pytest.raises(WorkError, match=r"worker 2 of 2 .*: no process can be started: Resource temporarily"),
    ):
        list(pool.run(make_tasks(3)))


def test_what_ran_out_of_memory_is_tried_once_more(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    monkeypatch.setattr(process.Worker, "give", _count_gifts(process.Worker.give, given))
    deed = 'connection.send(Failure("out of memory", machine=True)); continue'
    with closing(stub.open(deed)) as pool:
        assert tell(pool.run(make_tasks(2))) == ["out of memory"] * 2
    assert given == [0, 1, 0, 1]


def test_a_worker_with_a_broken_device_leaves_and_costs_no_other_child(
    stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last words say so, so that nothing more is given to it."""
    given: list[int] = []
    monkeypatch.setattr(process.Worker, "give", _count_gifts(process.Worker.give, given))
    deed = 'connection.send(Failure("illegal access", machine=True, last=True)); sys.exit(1)'
    with closing(stub.open(deed)) as pool:
        assert tell(pool.run(make_tasks(2))) == ["illegal access"] * 2
    assert given == [0, 1, 0, 1]


def _count_gifts(give: Any, given: list[int]) -> Any:
    def count(worker: Any, task: Task) -> None:
        given.append(task.place)
        give(worker, task)

    return count
