"""A handful of worker processes that train children, any of which may be killed without ending the search.

Each worker is a fresh Python process with a pipe of its own. Its death shows as the end of that pipe: the
child it held is answered as failed, and the next child gets a new worker. Workers live in a process group of
their own, so an interrupt from the keyboard reaches only the parent, and they leave as soon as the parent's
end of the pipe is closed, however the parent ended. Needs a POSIX system.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_backends.training.recipe import Recipe
from pnas_sim.errors import BackendError, DataError
from pnas_sim.evaluate import Evaluation
from pnas_sim.space import CellSpace

if TYPE_CHECKING:
    from pnas_backends.training.data import Images

GRACE = 10.0  # seconds beyond its time limit after which a worker that does not stop by itself is killed
FAREWELL = 5.0  # seconds a worker is given to leave
# A training step allocates and frees the same tensors again and again: glibc is told to keep them, in huge
# pages, and not to give them back to the system (5% of a step's CPU time). Other C libraries do not read it.
KEEP_MEMORY = ":".join(
    f"glibc.malloc.{setting}"
    for setting in ("hugetlb=1", "mmap_threshold=1000000000", "trim_threshold=2000000000")
)
START = "import sys; from pnas_backends.training.workers import serve; serve(int(sys.argv[1]))"


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """What a worker is told once.

    Attributes:
        space: of the cells.
        data: folder or file of the images.
        device: to train on.
        time_limit: wall seconds a child may take; None: any.
    """

    space: CellSpace
    data: Path | None
    device: str
    time_limit: float | None


@dataclass(frozen=True, slots=True)
class Task:
    """One child to train."""

    place: int
    row: NDArray[np.uint8]
    recipe: Recipe
    seed: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a child has no accuracy: one line; and the CPU seconds spent on it, where they are known."""

    reason: str
    seconds: float = 0.0


Outcome: TypeAlias = Evaluation | Failure


# -------------------------------------------------------------------------------- the parent's side


class WorkerPool:
    """Hands tasks to workers and yields what becomes of them. Workers start when there is something to do."""

    def __init__(self, setups: Sequence[WorkerSetup]) -> None:
        self._setups = tuple(setups)
        self._workers: dict[int, _Worker] = {}  # by place in `_setups`
        self._running = False

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Outcome]]:
        """Yields (place, outcome) of every task, each as soon as it is known.

        Workers that are busy when the iteration is given up are killed.

        Raises:
            BackendError: another iteration of this pool is not finished.
            DataError: a worker could not load its images.
        """
        if self._running:
            raise BackendError(
                "children are being trained for an earlier call; finish or close that one first"
            )
        self._running = True
        waiting = deque(tasks)
        try:
            while waiting or any(worker.task for worker in self._workers.values()):
                self._hand_out(waiting)
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

    def _hand_out(self, waiting: deque[Task]) -> None:
        for place, setup in enumerate(self._setups):
            if place in self._workers and self._workers[place].has_died_idle():
                self._workers.pop(place).leave()  # it held no child, so none has failed
            if waiting and place not in self._workers:
                self._workers[place] = _Worker(setup)
            worker = self._workers.get(place)
            if waiting and worker is not None and worker.task is None:
                worker.give(waiting.popleft())

    def _collect(self) -> Iterator[tuple[int, Outcome]]:
        """Waits until at least one busy worker has something to say, or is out of time."""
        busy = {worker.connection: place for place, worker in self._workers.items() if worker.task}
        patience = min(worker.patience() for worker in self._workers.values() if worker.task)
        ready = set(wait(list(busy), None if patience == float("inf") else patience))
        for connection, place in busy.items():
            worker = self._workers[place]
            task = worker.task
            if task is None:
                continue
            outcome = worker.hear() if connection in ready else worker.check_time()
            if outcome is not None:
                if worker.gone:
                    del self._workers[place]
                yield task.place, outcome


class _Worker:
    """One worker process as the parent sees it."""

    def __init__(self, setup: WorkerSetup) -> None:
        self.connection, theirs = Pipe()
        self.task: Task | None = None
        self.gone = False
        self._limit = setup.time_limit
        self._ready = False
        self._deadline = float("inf")
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", START, str(theirs.fileno())],
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

    def hear(self) -> Outcome | None:
        """What the worker says: an outcome, or None if it is only that its images are loaded.

        Raises:
            DataError: it could not load its images.
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
        outcome: Outcome = message
        return outcome

    def check_time(self) -> Outcome | None:
        """Kills the worker if it is out of time."""
        if self.patience() > 0:
            return None
        self.kill()
        return Failure(f"time limit of {self._limit:g} s")

    def kill(self) -> None:
        """Ends the process at once."""
        self._process.kill()
        self._process.wait()
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
        if self._ready and self._limit is not None:
            self._deadline = time.monotonic() + self._limit + GRACE

    def _send(self, message: WorkerSetup | Task) -> None:
        with suppress(OSError):  # if it is dead, `hear` will find the end of the pipe and say so
            self.connection.send(message)

    def _bury(self) -> Failure:
        self._process.wait()
        code = self._process.returncode
        self.kill()
        if code >= 0:
            return Failure(f"the worker process ended with exit code {code}")
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        hint = "; out of memory, perhaps" if name == "SIGKILL" else ""
        return Failure(f"the worker process was killed by {name}{hint}")


def worker_environment() -> dict[str, str]:
    """This process's environment, its import path, and memory settings unless the user has made some."""
    path = os.pathsep.join(filter(None, sys.path))
    return {"GLIBC_TUNABLES": KEEP_MEMORY, **os.environ, "PYTHONPATH": path}


# -------------------------------------------------------------------------------- the worker's side


def serve(handle: int) -> None:
    """Runs a worker: receives its setup, then tasks, and answers each, until the pipe ends."""
    connection = Connection(handle)
    setup: WorkerSetup = connection.recv()
    tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(connection, tasks), daemon=True).start()
    loaded: tuple[Recipe, Images] | None = None
    while True:
        task = tasks.get()
        try:
            if loaded is None or loaded[0] != images_part(task.recipe):
                loaded = images_part(task.recipe), _load(task.recipe, setup)
                connection.send(None)
            answer: Outcome | DataError = train_or_fail(task, loaded[1], setup)
        except DataError as error:
            answer = error
        except Exception as error:
            answer = Failure(describe_error(error))
        connection.send(answer)


def _receive(connection: Connection, tasks: queue.SimpleQueue[Task]) -> None:
    """Takes in tasks; ends the process with the pipe, in mid-training too: nobody waits for it."""
    try:
        while True:
            tasks.put(connection.recv())
    except (EOFError, OSError):
        os._exit(0)


def images_part(recipe: Recipe) -> Recipe:
    """The recipe with everything that does not choose images put back to its default."""
    kept = ("dataset", "image_size", "channels", "classes", "train_images", "valid_images", "test_images")
    return Recipe(**{name: getattr(recipe, name) for name in (*kept, "subset_seed", "crop")})


def _load(recipe: Recipe, setup: WorkerSetup) -> Images:
    from pnas_backends.training.data import load_images

    return load_images(recipe, setup.data).to(setup.device)


def train_or_fail(task: Task, images: Images, setup: WorkerSetup) -> Outcome:
    """Trains a child; whatever goes wrong becomes a `Failure` with one line of reason."""
    import torch

    from pnas_backends.training.train import train_child

    begun = time.process_time()
    try:
        return train_child(
            task.row, task.recipe, images, task.seed, setup.device, setup.space, setup.time_limit
        )
    except Exception as error:
        failure = Failure(describe_error(error), time.process_time() - begun)
    if torch.device(setup.device).type == "cuda":
        torch.cuda.empty_cache()
    return failure


def describe_error(error: Exception) -> str:
    """One line on an error; running out of memory is named as such."""
    lines = str(error).strip().splitlines()
    line = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    if isinstance(error, TimeoutError) and lines:
        return lines[0]
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & {"MemoryError", "OutOfMemoryError"} or "can't allocate memory" in line:
        return f"out of memory ({line})"
    return line
