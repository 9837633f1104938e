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
from pnas_backends.training.costs import cell_costs
from pnas_backends.training.messages import TRIAL, Failure, Outcome, Task, WorkerSetup, make_trial
from pnas_backends.training.recipe import DIGITS
from pnas_backends.training.serving import images_part
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


FAILS = {  # what a place may do to every child
    "it raises": 'connection.send(Failure("no kernel image")); continue',
    "its device breaks": 'connection.send(Failure("no access", machine=True, last=True)); sys.exit(1)',
    "its memory is taken": 'connection.send(Failure("no memory", machine=True)); continue',
    "it is killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "it crashes": "os._exit(3)",
}


@pytest.mark.parametrize("failure", FAILS)
def test_a_place_that_fails_every_child_costs_none(stub: Stub, failure: str) -> None:
    """It is the faster one by far."""
    deed = f'if setup.device == "cuda": {FAILS[failure]}\ntime.sleep(0.3)'
    with (
        closing(stub.open(deed, devices=("cuda", "cpu"))) as pool,
        pytest.warns(RuntimeWarning, match="worker 1 of 2 on cuda is given up, it fails every child, the ch"),
    ):
        assert tell(pool.run(make_tasks(24))) == ["trained"] * 24
        assert len(pool.process_ids()) == 1


ALONE_AND_BOTH = pytest.mark.parametrize(
    ("failure", "devices"),
    [
        *((failure, ("cpu",)) for failure in FAILS),
        ("it raises", ("cpu", "cuda")),
        ("it crashes", ("cpu", "cuda")),
    ],
)


@ALONE_AND_BOTH
def test_where_every_child_fails_none_is_answered(
    stub: Stub, failure: str, devices: tuple[str, ...], recwarn: pytest.WarningsRecorder
) -> None:
    pool = stub.open(FAILS[failure], devices=devices)
    answered: list[int] = []
    with pytest.raises(WorkError, match=r"^no worker is left to train, .*, the cheapest too: ") as raised:
        answered += [place for place, _ in pool.run(make_tasks(9))]
    assert not answered and len(recwarn) == len(devices) - 1
    assert "\n" not in str(raised.value)


def test_a_place_that_breaks_later_costs_no_child(stub: Stub) -> None:
    """What it trained before stands; it is tried again in the next call."""
    deed = f'if setup.device == "cuda" and not 0 <= task.place < 7: {FAILS["it raises"]}\ntime.sleep(0.3)'
    with closing(stub.open(deed, devices=("cuda", "cpu"))) as pool:
        with pytest.warns(RuntimeWarning, match="worker 1 of 2 on cuda is given up, it fails every child"):
            assert tell(pool.run(make_tasks(16))) == ["trained"] * 16
        assert tell(pool.run(make_tasks(4))) == ["trained"] * 4
        assert len(pool.process_ids()) == 2


@ALONE_AND_BOTH
def test_children_that_fail_where_another_is_trained_have_failed(
    stub: Stub, failure: str, devices: tuple[str, ...]
) -> None:
    """They may be too large; the trial is small. Nothing is lost when the last of a batch are such."""
    with closing(stub.open(f"if task.place >= 0: {FAILS[failure]}", devices=devices)) as pool:
        reasons = tell(pool.run(make_tasks(5)))
        assert len(reasons) == 5 and len(set(reasons)) == 1 and "trained" not in reasons


def test_a_failure_is_answered_once_its_place_has_trained_another(stub: Stub) -> None:
    deed = f"if task.place in (0, 1): {FAILS['it raises']}"
    with closing(stub.open(deed)) as pool:
        assert [place for place, _ in pool.run(make_tasks(4))] == [0, 1, 2, 3]
        running = pool.run(make_tasks(4))
        assert next(running)[0] == 0
        assert pool._waiting[0].place == 3  # what it waited for was the child after the two
        running.close()


@pytest.mark.parametrize("failure", ["its memory is taken", "it is killed"])
def test_what_the_machine_failed_is_trained_elsewhere(stub: Stub, given: list[int], failure: str) -> None:
    """A place that could train smaller ones is not given up, but gets no child twice."""
    deed = f'if setup.device == "cuda" and task.place >= 0: {FAILS[failure]}\ntime.sleep(0.2)'
    with closing(stub.open(deed, devices=("cuda", "cpu"))) as pool:
        assert tell(pool.run(make_tasks(8))) == ["trained"] * 8
    assert all(given.count(place) <= 2 for place in range(8))


def test_what_a_place_given_up_did_counts_for_nothing(stub: Stub) -> None:
    """A child that failed there, and then once elsewhere, has failed once."""
    pool, (task,), lost = stub.open(devices=("cuda", "cpu")), make_tasks(1), Failure("lost", machine=True)
    broken, other = pool._places
    for place in (broken, other):
        pool._suspect(place, task, lost)
    pool._waiting.clear()
    with pytest.warns(RuntimeWarning, match="is given up"):
        pool._give_up(broken, "fails every child")
    assert list(pool._trust(other)) == [] and list(pool._waiting) == [task]
    pool._suspect(other, task, lost)
    assert list(pool._trust(other)) == [(0, lost)]


def test_time_that_runs_out_is_the_childs_own(stub: Stub, given: list[int]) -> None:
    """A search may be given a limit that no child keeps; what it then says is true."""
    with closing(stub.open('connection.send(Failure("time limit", late=True)); continue')) as pool:
        assert tell(pool.run(make_tasks(5))) == ["time limit"] * 5
    assert given == list(range(5))


@pytest.mark.parametrize("failure", ["its memory is taken", "its device breaks"])
def test_what_the_machine_failed_is_tried_once_more(stub: Stub, given: list[int], failure: str) -> None:
    """Last words say that a worker leaves, so that nothing more is given to it."""
    with closing(stub.open(f"if task.place >= 0: {FAILS[failure]}")) as pool:
        tell(pool.run(make_tasks(2)))
    assert given == [0, 1, 0, TRIAL, 1, TRIAL]


def test_a_trial_whose_worker_does_not_start_is_tried_again(stub: Stub, given: list[int]) -> None:
    begin = """
if (setup.data / "failed").exists() and not (setup.data / "gone").exists():
    (setup.data / "gone").touch()
    sys.exit(3)
"""
    deed = f'if task.place >= 0: (setup.data / "failed").touch(); {FAILS["its device breaks"]}'
    with closing(stub.open(deed, begin=begin)) as pool:
        assert tell(pool.run(make_tasks(1))) == ["no access"]
    assert given == [0, 0, 0, TRIAL]


def test_a_trial_is_one_step_of_the_cheapest_child_on_the_same_images() -> None:
    recipe = DIGITS.change(epochs=20, batch_size=50, test_images=100, filters=8)
    trial = make_trial(Task(7, SPACE.sample(1, np.random.default_rng(0))[0], recipe, 3), SPACE)
    assert (trial.place, trial.recipe.steps, trial.seed) == (TRIAL, 1, 3)
    assert images_part(trial.recipe) == images_part(recipe)
    assert (trial.recipe.batch, trial.recipe.shape) == (recipe.batch, recipe.shape)
    costs = [cell_costs(rows, SPACE, recipe.shape)[1].min() for rows in (trial.row[None], SPACE.initial())]
    assert costs[0] == costs[1]
    assert make_trial(Task(7, trial.row, recipe.change(epochs=0.01), 3), SPACE).recipe.epochs == 0.01


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Places of the tasks that workers are given, in order."""
    give, places = process.Worker.give, []

    def count(worker: process.Worker, task: Task) -> None:
        places.append(task.place)
        give(worker, task)

    monkeypatch.setattr(process.Worker, "give", count)
    return places
