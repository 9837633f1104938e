"""Jobs over processes: a killed worker costs its job in flight, and neither the pool nor finished jobs."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from pnas_sim.errors import WorkError
from pnas_sim.study.work import SAFE_PATH, THREADS, prepare_worker, set_variable
from pnas_sim.threads import hold_threads

MOST_DEATHS = 3  # of workers, until it is no accident

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Standing:
    """How far some jobs have come.

    Attributes:
        done: jobs done, those of earlier sittings included.
        total: jobs in all.
        last: name of the one done last; empty at the start.
    """

    done: int
    total: int
    last: str = ""


def do_jobs(
    jobs: Sequence[T],
    workers: int,
    tell: Callable[[T], None],
    do: Callable[[T], None],
    here: Callable[[T], None],
) -> None:
    """Does all jobs.

    Args:
        jobs: to be done; each leaves its own file.
        workers: processes; with 1 they are done in this one, whose threads are one meanwhile.
        tell: called after each job that is done.
        do: what a worker process does with a job; a function of a module, for processes import it.
        here: what this process does with a job, if it does them.

    Raises:
        PnasError: as the first job that fails; the others in flight are ended.
        WorkError: workers are killed again and again.
    """
    if workers == 1:
        with hold_threads(THREADS):
            for job in jobs:
                here(job)
                tell(job)
        return
    left, deaths = list(jobs), 0
    while left:
        done: list[T] = []
        try:
            with open_pool(min(workers, len(left))) as pool:
                for job in _follow(pool, left, do):
                    done.append(job)
                    tell(job)
        except BrokenProcessPool:
            deaths += 1
            if deaths >= MOST_DEATHS:
                raise WorkError(
                    f"workers were killed {deaths} times, perhaps for want of memory; "
                    f"give the same command again with fewer than --workers {workers}"
                ) from None
        finished = set(map(id, done))
        left = [job for job in left if id(job) not in finished]


def _follow(pool: ProcessPoolExecutor, jobs: Sequence[T], do: Callable[[T], None]) -> Iterator[T]:
    """Yields jobs as they are done; their order is that of beginning."""
    with hold_interruption():
        waiting: dict[Future[None], T] = {pool.submit(do, job): job for job in jobs}
    while waiting:
        ended, _ = wait(waiting, return_when=FIRST_COMPLETED)
        broken = [future for future in ended if future.exception() is not None]
        for future in ended - set(broken):
            yield waiting.pop(future)
        for future in broken:
            future.result()


@contextmanager
def hold_interruption() -> Iterator[None]:
    """While inside, Ctrl-C waits; processes that are started inside never get it.

    A pool starts its processes as jobs are submitted. Ctrl-C goes to all of a terminal's processes, and one
    that still imports could neither ignore it nor do without a traceback; to end it is the parent's business.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def open_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """A pool whose processes are ended if what is inside fails or is interrupted, and gone when it closes.

    A process that starts would look for Python's own modules in the current folder first, where a user's
    `random.py` may lie; it is told not to. Afterwards it looks for modules where this process does.
    """
    before, safe_path = set(multiprocessing.active_children()), os.environ.get(SAFE_PATH)
    set_variable(SAFE_PATH, "1")
    pool = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=prepare_worker,
        initargs=(safe_path,),
    )
    try:
        yield pool
    except BaseException:
        for process in set(multiprocessing.active_children()) - before:
            process.terminate()  # the pool's own thread joins them: of two threads that wait for one
        raise  # process, one does not get its exit status and takes it for alive
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        set_variable(SAFE_PATH, safe_path)
