"""A handful of worker processes that train children, any of which may be killed without ending the search.

A worker's death costs no more than the child it trains: the next one gets a new worker. Needs a POSIX system.

What the machine does is not put down to the child. Where a worker cannot start or load its images, or ends
by a signal that is meant for the job, its child waits for another one, and its place is left to rest for a
while, ever longer. A place where that happens time after time is given up; without any left the call ends
with an error, and nothing is lost. A child whose worker ended in any other way, or that ran out of memory or
left a broken device, is trained once more, at another place if there is one; if it happens again, the child
has failed.

Nor is what a place does to any child. A failure is answered once its place has trained another child since.
Where it does not, and `TRIES` children failed there in a row or it has no other to train, it is put to a
trial: the cheapest child, for one step. If it passes, the failures stand; if not, it is given up, and its
children are trained elsewhere. Running out of time is the child's own, whatever its place.
"""

from __future__ import annotations

import time
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait

from pnas_backends.training.messages import (
    TRIAL,
    Failure,
    LoadFailure,
    Outcome,
    Task,
    WorkerSetup,
    make_trial,
)
from pnas_backends.training.process import Worker, start_worker
from pnas_sim.errors import BackendError, WorkError

__all__ = ["Failure", "LoadFailure", "Outcome", "Task", "WorkerPool", "WorkerSetup"]

LONGEST_WAIT = 3600.0  # seconds at a time; a system takes no more than 24 days
TRIES = 3  # children in a row
TRIES_OF_A_CHILD = 2
PAUSES = (1.0, 10.0, 60.0)  # seconds before a place where a worker had nothing to say gets another one


@dataclass(slots=True, eq=False)
class _Place:
    """Where a worker is, or may be.

    Attributes:
        name: for messages.
        setup: of its workers.
        worker: None where none was started, or the last one is gone.
        misses: workers in a row that said nothing on a child.
        rests_until: seconds of the monotonic clock; no worker is started before.
        failures: children in a row that failed here.
        last_failed: the last of them.
        held: those of them that were not put back, and what their worker said.
        given_up: for this call.
    """

    name: str
    setup: WorkerSetup
    worker: Worker | None = None
    misses: int = 0
    rests_until: float = 0.0
    failures: int = 0
    last_failed: Task | None = None
    held: list[tuple[Task, Failure]] = field(default_factory=list)
    given_up: bool = False

    def begin(self) -> None:
        """Forgets what earlier calls found."""
        self.misses, self.rests_until, self.given_up = 0, 0.0, False
        self.failures, self.last_failed, self.held = 0, None, []

    def is_busy(self) -> bool:
        """Whether a worker has a child."""
        return self.worker is not None and self.worker.task is not None

    def refresh(self) -> None:
        """Lets a worker go that died without a child, and ends a rest that is over."""
        if self.worker is not None and self.worker.has_died_idle():
            self.dismiss()
        if time.monotonic() >= self.rests_until:
            self.rests_until = 0.0

    def is_free(self) -> bool:
        """Whether it may be given a child."""
        return not (self.given_up or self.rests_until or self.is_busy())

    def patience(self) -> float:
        """Seconds until something is to be done here though no worker says anything; busy or resting."""
        if self.worker is not None and self.worker.task is not None:
            return self.worker.patience()
        return max(0.0, self.rests_until - time.monotonic())

    def dismiss(self) -> None:
        """Lets the worker go."""
        if self.worker is not None:
            self.worker.leave()
        self.worker = None

    def stop(self) -> None:
        """Kills the worker if it is busy."""
        if self.worker is not None and self.is_busy():
            self.worker.kill()
            self.worker = None


class WorkerPool:
    """Hands tasks to workers and yields what becomes of them. Workers start when there is something to do.

    Args:
        setups: of the places where a worker may be, one each.
        pauses: seconds that a place rests after the first, second, ... worker in a row that said nothing on a
            child. After one more it is given up.
    """

    def __init__(self, setups: Sequence[WorkerSetup], pauses: Sequence[float] = PAUSES) -> None:
        self._places = [
            _Place(f"worker {number} of {len(setups)} on {setup.device}", setup)
            for number, setup in enumerate(setups, 1)
        ]
        self._pauses = tuple(pauses)
        self._running = False
        self._waiting: deque[Task] = deque()
        self._failed_at: dict[int, list[_Place]] = {}  # by task's place: where the machine failed it

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Outcome]]:
        """Yields (place, outcome) of every task, each as soon as it is known.

        Workers that are busy when the iteration is given up are killed.

        Raises:
            BackendError: another iteration of this pool is not finished.
            DataError: the images are not there, or not what they should be.
            WorkError: no place is left where a worker starts and trains anything.
        """
        if self._running:
            raise BackendError(
                "children are being trained for an earlier call; finish or close that one first"
            )
        self._running = True
        self._waiting, self._failed_at = deque(tasks), {}
        for place in self._places:
            place.begin()
        try:
            while self._waiting or any(place.is_busy() or place.held for place in self._places):
                self._hand_out()
                yield from self._collect()
        finally:
            self._running = False
            for place in self._places:
                place.stop()

    def close(self) -> None:
        """Ends all workers."""
        for place in self._places:
            place.dismiss()

    def process_ids(self) -> list[int]:
        """Of the workers that live, for diagnosis."""
        return [place.worker.process_id for place in self._places if place.worker is not None]

    def _hand_out(self) -> None:
        for place in self._places:
            place.refresh()
            task = self._choose(place) if place.is_free() else None
            if task is not None:
                self._give(place, task)

    def _choose(self, place: _Place) -> Task | None:
        """What a place is to train next: the first child it has not failed, or a trial."""
        if place.failures < TRIES:
            for at, task in enumerate(self._waiting):
                if self._is_for(place, task):
                    del self._waiting[at]
                    return task
        if place.last_failed is not None and (place.held or (self._waiting and place.failures >= TRIES)):
            return make_trial(place.last_failed, place.setup.space)
        return None

    def _is_for(self, place: _Place, task: Task) -> bool:
        """Whether a place may train a child: it has not failed it yet, or all others have, too."""
        failed_at = self._failed_at.get(task.place, [])
        if place not in failed_at:
            return True
        return all(other.given_up or other in failed_at for other in self._places)

    def _give(self, place: _Place, task: Task) -> None:
        found = place.worker or start_worker(place.setup)
        if isinstance(found, LoadFailure):
            self._take_back(place, task, found)
        else:
            place.worker = found
            found.give(task)

    def _collect(self) -> Iterator[tuple[int, Outcome]]:
        """Waits until a busy worker has something to say or is out of time, or a place has rested."""
        busy = [
            (place, worker, worker.task)
            for place in self._places
            if (worker := place.worker) is not None and worker.task is not None
        ]
        waits = [place.patience() for place in self._places if place.is_busy() or place.rests_until]
        patience = min(min(waits, default=0.0), LONGEST_WAIT)
        ready = set(wait([worker.connection for _, worker, _ in busy], patience))
        for place, worker, task in busy:
            said = worker.hear() if worker.connection in ready else worker.check_time()
            if isinstance(said, Failure) and said.last:
                worker.leave()
            if worker.gone:
                place.worker = None
            yield from self._judge(place, task, said)

    def _judge(
        self, place: _Place, task: Task, said: Outcome | LoadFailure | None
    ) -> Iterator[tuple[int, Outcome]]:
        """Decides what is to become of a child by what its worker said; answers it or puts it back."""
        if said is None:
            return
        if isinstance(said, LoadFailure):
            self._take_back(place, task, said)
            return
        place.misses = 0
        if isinstance(said, Failure) and task.place == TRIAL:
            self._give_up(place, f"fails every child, the cheapest too: {said.reason}")
        elif isinstance(said, Failure) and not said.late:
            self._suspect(place, task, said)
        else:
            if not isinstance(said, Failure):
                yield from self._trust(place)
            if task.place != TRIAL:
                yield task.place, said

    def _suspect(self, place: _Place, task: Task, said: Failure) -> None:
        """Puts a child that failed back, or holds what was said of it until its place is known to work."""
        place.failures += 1
        place.last_failed = task
        if said.machine:
            failed_at = self._failed_at.setdefault(task.place, [])
            failed_at.append(place)
            if len(failed_at) < TRIES_OF_A_CHILD:
                self._waiting.append(task)  # at the end: what took the memory may be gone by then
                return
        place.held.append((task, said))

    def _trust(self, place: _Place) -> Iterator[tuple[int, Outcome]]:
        """Answers what was held of a place that works."""
        held, place.failures, place.held = place.held, 0, []
        for task, said in held:
            if said.machine and len(self._failed_at[task.place]) < TRIES_OF_A_CHILD:
                self._waiting.append(task)  # its other failure was that of a place given up since
            else:
                yield task.place, said

    def _take_back(self, place: _Place, task: Task, said: LoadFailure) -> None:
        """Puts a child back that was never begun, or ended with its job, and lets its place rest.

        Raises:
            WorkError: as `_give_up`.
        """
        place.dismiss()
        if task.place != TRIAL:
            self._waiting.appendleft(task)
        place.misses += 1
        if place.misses <= len(self._pauses):
            place.rests_until = time.monotonic() + self._pauses[place.misses - 1]
        else:
            self._give_up(place, f"ended {place.misses} times without an answer: {said.reason}")

    def _give_up(self, place: _Place, why: str) -> None:
        """Uses a place no more in this call; what it made of children counts for nothing.

        Raises:
            WorkError: there is no other one.
        """
        place.dismiss()
        place.given_up, place.rests_until = True, 0.0
        self._waiting.extendleft(task for task, _ in reversed(place.held))
        place.held = []
        for failed_at in self._failed_at.values():
            failed_at[:] = [other for other in failed_at if other is not place]
        if not all(other.given_up for other in self._places):
            warnings.warn(f"{place.name} is given up, it {why}", RuntimeWarning, stacklevel=2)
            return
        raise WorkError(
            f"no worker is left to train, {place.name} {why}; what was answered is kept: mend it, then go on "
            "with the same work"
        )
