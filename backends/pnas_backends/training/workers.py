"""A handful of worker processes that train children, any of which may be killed without ending the search.

Each worker is a fresh Python process with a pipe of its own (`pnas_backends.training.serving`). Its death
shows as the end of that pipe, and the next child gets a new worker. Workers live in a process group of their
own, so an interrupt from the keyboard reaches only the parent, and they leave as soon as the parent's end of
the pipe is closed, however the parent ended. Needs a POSIX system.

What the machine does is not put down to the child. Where a worker cannot start or load its images, or ends
by a signal that is meant for the job, its child waits for another one. A place whose workers end so `TRIES`
times in a row is given up; without any left the call ends with an error, and nothing is lost. A child whose
worker ended in any other way, or that ran out of memory or left a broken device, is trained once more, since
another process may be to blame; if it happens again, the child has failed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Pipe, wait
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_backends.training.recipe import Recipe
from pnas_sim.errors import BackendError, DataError, WorkError
from pnas_sim.evaluate import Evaluation
from pnas_sim.space import CellSpace

GRACE = 10.0  # seconds beyond its time limit after which a worker that does not stop by itself is killed
FAREWELL = 5.0  # seconds a worker is given to leave
START_LIMIT = 600.0  # seconds to start, and to load images: a file system or a driver may not answer
LONGEST_WAIT = 3600.0  # seconds at a time; a system takes no more than 24 days
TRIES = 3  # workers in a row that end without an answer
JOB_SIGNALS = (  # of a scheduler, a keyboard, a terminal; the last three are a cluster's warnings
    *(signal.SIGTERM, signal.SIGINT, signal.SIGHUP),
    *(signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU),
)
# A training step allocates and frees the same tensors again and again: glibc is told to keep them, in huge
# pages, and not to give them back to the system (5% of a step's CPU time). Other C libraries do not read it.
KEEP_MEMORY = ":".join(
    f"glibc.malloc.{setting}"
    for setting in ("hugetlb=1", "mmap_threshold=1000000000", "trim_threshold=2000000000")
)
START = "import sys; from pnas_backends.training.serving import serve; serve(int(sys.argv[1]))"


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """What a worker is told once.

    Attributes:
        space: of the cells.
        data: folder or file of the images.
        device: to train on.
        time_limit: wall seconds a child may take; None: any.
        shares: other workers train on the same device.
    """

    space: CellSpace
    data: Path | None
    device: str
    time_limit: float | None
    shares: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """One child to train."""

    place: int
    row: NDArray[np.uint8]
    recipe: Recipe
    seed: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a child has no accuracy.

    Attributes:
        reason: one line.
        seconds: spent on it: CPU seconds, or by the clock where the worker was killed.
        machine: another process or the device may be to blame, so that it is worth another try.
        last: the worker leaves after these words, since its device answers it no more.
    """

    reason: str
    seconds: float = 0.0
    machine: bool = False
    last: bool = False


@dataclass(frozen=True, slots=True)
class LoadFailure:
    """Why a worker has no images, or is gone without a word on its child; nothing of that is the child's."""

    reason: str


Outcome: TypeAlias = Evaluation | Failure


class WorkerPool:
    """Hands tasks to workers and yields what becomes of them. Workers start when there is something to do."""

    def __init__(self, setups: Sequence[WorkerSetup]) -> None:
        self._setups = tuple(setups)
        self._workers: dict[int, _Worker] = {}  # by place in `_setups`
        self._running = False
        self._waiting: deque[Task] = deque()
        self._tried_again: set[int] = set()  # places of tasks
        self._strikes = [0] * len(self._setups)  # by place: workers in a row that ended without an answer

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Outcome]]:
        """Yields (place, outcome) of every task, each as soon as it is known.

        Workers that are busy when the iteration is given up are killed.

        Raises:
            BackendError: another iteration of this pool is not finished.
            DataError: the images are not there, or not what they should be.
            WorkError: no place is left where a worker starts.
        """
        if self._running:
            raise BackendError(
                "children are being trained for an earlier call; finish or close that one first"
            )
        self._running = True
        self._waiting, self._tried_again = deque(tasks), set()
        self._strikes = [0] * len(self._setups)
        try:
            while self._waiting or any(worker.task for worker in self._workers.values()):
                self._hand_out()
                yield from self._collect()
        finally:
            self._running = False
            for place in [place for place, worker in self._workers.items() if worker.task]:
                self._workers.pop(place).kill()

    def close(self) -> None:
        """Ends all workers."""
        while self._workers:
            _, worker = self._workers.popitem()
            worker.leave()

    def process_ids(self) -> list[int]:
        """Of the workers that live, for diagnosis."""
        return [worker.process_id for worker in self._workers.values()]

    def _hand_out(self) -> None:
        waiting = self._waiting
        for place, setup in enumerate(self._setups):
            if place in self._workers and self._workers[place].has_died_idle():
                self._workers.pop(place).leave()  # it held no child, so none has failed
            if waiting and place not in self._workers and self._strikes[place] < TRIES:
                self._workers[place] = _Worker(setup)
            worker = self._workers.get(place)
            if waiting and worker is not None and worker.task is None:
                worker.give(waiting.popleft())

    def _collect(self) -> Iterator[tuple[int, Outcome]]:
        """Waits until at least one busy worker has something to say, or is out of time."""
        busy = {worker.connection: place for place, worker in self._workers.items() if worker.task}
        patience = min(worker.patience() for worker in self._workers.values() if worker.task)
        ready = set(wait(list(busy), min(patience, LONGEST_WAIT)))
        for connection, place in busy.items():
            worker = self._workers[place]
            task = worker.task
            if task is None:
                continue
            said = worker.hear() if connection in ready else worker.check_time()
            if isinstance(said, Failure) and said.last:
                worker.leave()
            if worker.gone:
                del self._workers[place]
            if isinstance(said, LoadFailure):
                self._take_back(task, said, place)
            elif isinstance(said, Failure) and said.machine and task.place not in self._tried_again:
                self._tried_again.add(task.place)
                self._waiting.append(task)  # at the end: what took the memory may be gone by then
            elif said is not None:
                self._strikes[place] = 0
                yield task.place, said

    def _take_back(self, task: Task, said: LoadFailure, place: int) -> None:
        """Puts a child back that was never begun, or ended with its job, and lets its worker go.

        Raises:
            WorkError: this goes on and on, and there is no other worker.
        """
        if place in self._workers:
            self._workers.pop(place).leave()
        self._waiting.appendleft(task)
        self._strikes[place] += 1
        if self._strikes[place] < TRIES:
            return
        where = f"worker {place + 1} of {len(self._setups)} on {self._setups[place].device}"
        if min(self._strikes) < TRIES:
            warnings.warn(f"{where} is given up: {said.reason}", RuntimeWarning, stacklevel=2)
            return
        raise WorkError(
            f"no worker is left to train, {where} ended {TRIES} times without an answer: {said.reason}; what "
            "was answered is kept: mend it, then go on with the same work"
        )


class _Worker:
    """One worker process as the parent sees it."""

    def __init__(self, setup: WorkerSetup) -> None:
        self.connection, theirs = Pipe()
        self.task: Task | None = None
        self.gone = False
        self._limit = setup.time_limit
        self._ready = False
        self._begun = time.monotonic()
        self._deadline = self._begun + START_LIMIT
        with theirs:
            self._process = subprocess.Popen(
                # not from the current folder, where a user may have a random.py
                [sys.executable, "-P", "-c", START, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                process_group=0,
                env=worker_environment(),
            )
        self._send(setup)

    @property
    def process_id(self) -> int:
        """Of the worker."""
        return self._process.pid

    def give(self, task: Task) -> None:
        """Hands over a task; the worker has none."""
        self.task = task
        self._start_clock()
        self._send(task)

    def has_died_idle(self) -> bool:
        """Whether it ended without a task, as one does that is killed between two calls."""
        return self.task is None and self._process.poll() is not None

    def patience(self) -> float:
        """Seconds until the task is out of time."""
        return max(0.0, self._deadline - time.monotonic())

    def hear(self) -> Outcome | LoadFailure | None:
        """What the worker says: an outcome, or None if it is only that its images are loaded.

        Raises:
            DataError: its images are not there, or not what they should be.
        """
        try:
            message = self.connection.recv()
        except (EOFError, OSError):
            return self._bury()
        if isinstance(message, DataError):
            raise message
        if message is None:
            self._ready = True
            self._start_clock()
            return None
        self.task = None
        outcome: Outcome | LoadFailure = message
        return outcome

    def check_time(self) -> Outcome | LoadFailure | None:
        """Kills the worker if it is out of time."""
        if self.patience() > 0:
            return None
        self.kill()
        if not self._ready:
            return LoadFailure(f"a worker was not ready after {START_LIMIT:g} s")
        return Failure(f"time limit of {self._limit:g} s", time.monotonic() - self._begun)

    def kill(self) -> None:
        """Ends the process at once; one that a driver or file system holds is left to itself."""
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(FAREWELL)
        self.connection.close()
        self.task, self.gone = None, True

    def leave(self) -> None:
        """Lets the process end, or makes it."""
        self.connection.close()
        try:
            self._process.wait(FAREWELL)
        except subprocess.TimeoutExpired:
            self.kill()
        self.gone = True

    def _start_clock(self) -> None:
        """Time counts from when the worker has both its images and a task; loading is not the child's."""
        if self._ready:
            self._begun = time.monotonic()
            self._deadline = float("inf") if self._limit is None else self._begun + self._limit + GRACE

    def _send(self, message: WorkerSetup | Task) -> None:
        with suppress(OSError):  # if it is dead, `hear` will find the end of the pipe and say so
            self.connection.send(message)

    def _bury(self) -> Failure | LoadFailure:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(FAREWELL)
        code = self._process.returncode
        self.kill()
        reason = f"the worker process {_explain_end(code)}"
        if not self._ready or (code is not None and -code in JOB_SIGNALS):
            return LoadFailure(reason)
        return Failure(reason, time.monotonic() - self._begun, machine=True)


def worker_environment() -> dict[str, str]:
    """This process's environment, its import path, and memory settings unless the user has made some."""
    path = os.pathsep.join(filter(None, sys.path))
    return {"GLIBC_TUNABLES": KEEP_MEMORY, **os.environ, "PYTHONPATH": path}


def _explain_end(code: int | None) -> str:
    """How a process ended, by its exit code."""
    if code is None:
        return "closed its pipe and does not end"
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"was killed by {name}{'; out of memory, perhaps' if name == 'SIGKILL' else ''}"
