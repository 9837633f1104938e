"""Jobs of a predictor study over processes; what a job has left in the folder is not made again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Protocol

from pnas_sim.errors import WorkError
from pnas_sim.study.pool import hold_interruption, open_pool
from pnas_sim.study.work import prepare_process


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
        with open_pool(min(workers, len(missing))) as pool:
            with hold_interruption():
                running = {pool.submit(job.run, folder): job for job in missing}
            for number, future in enumerate(as_completed(running), done + 1):
                future.result()
                tell(running[future].name, number, len(jobs))
    except BrokenProcessPool:
        raise WorkError(
            "a worker was killed, perhaps for want of memory; give the same command again with fewer "
            f"than --workers {workers}: what is done is kept"
        ) from None
