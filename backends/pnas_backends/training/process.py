"""A worker process as the search's process sees it.

It is a fresh Python process with a pipe of its own (`pnas_backends.training.serving`). Its death shows as the
end of that pipe. It lives in a process group of its own, so an interrupt from the keyboard reaches only the
parent, and it leaves as soon as the parent's end of the pipe is closed, however the parent ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from multiprocessing.connection import Pipe

from pnas_backends.training.messages import Failure, LoadFailure, Outcome, Task, WorkerSetup
from pnas_sim.errors import DataError

GRACE = 10.0  # seconds beyond its time limit after which a worker that does not stop by itself is killed
FAREWELL = 5.0  # seconds a worker is given to leave
START_LIMIT = 600.0  # seconds to start, and to load images: a file system or a driver may not answer
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


def start_worker(setup: WorkerSetup) -> Worker | LoadFailure:
    """Starts a worker, unless the system has no process, memory or pipe for it at the moment."""
    try:
        return Worker(setup)
    except OSError as error:
        return LoadFailure(f"no process can be started: {error.strerror or error}")


class Worker:
    """One worker process."""

    def __init__(self, setup: WorkerSetup) -> None:
        self.connection, theirs = Pipe()
        self.task: Task | None = None
        self.gone = False
        self._limit = setup.time_limit
        self.ready = False
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
            self.ready = True
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
        if not self.ready:
            return LoadFailure(f"a worker was not ready after {START_LIMIT:g} s")
        return Failure(f"time limit of {self._limit:g} s", time.monotonic() - self._begun, late=True)

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
        if self.ready:
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
        if not self.ready or (code is not None and -code in JOB_SIGNALS):
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
