"""Jobs of a predictor study over processes; what a job has left in the folder is not made again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Protocol

from pnas_sim.study import pool
from pnas_sim.study.pool import Standing


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


def do_jobs(jobs: Sequence[StudyJob], folder: Path, workers: int, tell: Callable[[Standing], None]) -> None:
    """Does the jobs that have left no file yet.

    Args:
        jobs: to be done.
        folder: where each leaves its file.
        workers: processes; with 1 everything is done in this one.
        tell: told at the start and after each job.

    Raises:
        PnasError: as the first job that fails; what others have left is kept.
        WorkError: workers are killed again and again.
    """
    missing = [job for job in jobs if not job.is_done(folder)]
    done, run = count(len(jobs) - len(missing)), partial(_run, folder)
    tell(Standing(next(done), len(jobs)))
    pool.do_jobs(
        missing,
        workers if len(missing) > 1 else 1,  # one alone is not worth a process
        lambda job: tell(Standing(next(done), len(jobs), job.name)),
        run,
        here=run,
    )


def _run(folder: Path, job: StudyJob) -> None:
    job.run(folder)
