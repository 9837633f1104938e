"""Workers that are stubs: who is to blame for a child without an accuracy, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from pnas_backends.training import workers
from pnas_backends.training.recipe import DIGITS
from pnas_backends.training.workers import Failure, Outcome, Task, WorkerPool, WorkerSetup
from pnas_sim.space import CellSpace

SPACE = CellSpace()
STUB = """
import os, resource, signal, sys, time
from multiprocessing.connection import Connection
from pnas_backends.training.workers import Failure
from pnas_sim.evaluate import Evaluation
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
connection = Connection(int(sys.argv[1]))
setup = connection.recv()
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
        self, deed: str = "pass", devices: tuple[str, ...] = ("cpu",), limit: float | None = None
    ) -> WorkerPool:
        """A pool whose workers do a deed (lines of Python) for each `task`, then say that it is trained.

        They know their `setup`, in which `data` is an empty folder.
        """
        lines = "\n".join(f"    {line}" for line in deed.strip().splitlines())
        self.patch.setattr(workers, "START", STUB.replace("{deed}", lines))
        return WorkerPool([WorkerSetup(SPACE, self.folder, device, limit) for device in devices])


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
