"""Jobs of a predictor study over processes; what a job has left in the folder is not made again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Protocol

from pnas_sim.errors import WorkError
from pnas_sim.study.work import prepare_process, prepare_worker


class StudyJob(Protocol):
    """What is done by itself and leaves one file; it travels to another process."""

    @property
    def name(self) -> str:
        """For people."""
        ...

    def run(self, folder: Path) -> None:
        """Does it and leaves the file."""
        ...

    def is_done(self, folder: Path) -> bool:
        """Whether the file is there and whole."""
        ...


def do_jobs(
    jobs: Sequence[StudyJob], folder: Path, workers: int, tell: Callable[[str, int, int], None]
) -> None:
    """Does the jobs that have left no file yet.

    Args:
        jobs: to be done.
        folder: where each leaves its file.
        workers: processes; with 1 everything is done in this one.
        tell: called after each that was done, with its name, how many are done and how many there are.

    Raises:
        PnasError: as the first job that fails.
        WorkError: a worker process was killed.
    """
    missing = [job for job in jobs if not job.is_done(folder)]
    done = len(jobs) - len(missing)
    if workers == 1 or len(missing) < 2:
        prepare_process()
        for number, job in enumerate(missing, done + 1):
            job.run(folder)
            tell(job.name, number, len(jobs))
        return
    try:
        with _open_pool(min(workers, len(missing))) as pool:
            running = {pool.submit(job.run, folder): job for job in missing}
            for number, future in enumerate(as_completed(running), done + 1):
                future.result()
                tell(running[future].name, number, len(jobs))
    except BrokenProcessPool:
        raise WorkError(
            "a worker was killed, perhaps for want of memory; give the same command again with fewer "
            f"than --workers {workers}: what is done is kept"
        ) from None


@contextmanager
def _open_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """A pool whose processes are ended if what is inside fails or is interrupted; their files are whole."""
    before = set(active_children())
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=prepare_worker)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        ours = set(active_children()) - before
        for process in ours:
            process.terminate()
        for process in ours:
            process.join()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
