"""Trainings that scripts of this folder do one by one, resumably: each finished one is a line of a file.

A line is a JSON object: what the script calls the training, the settings in which it differs from a base
recipe, cell, seed, and what came of it. It is on the disk before the next one counts, so a killed script goes
on where it stopped; a training that failed has no line and is tried again.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keeping import append_line

from pnas_backends.training.recipe import Recipe
from pnas_backends.training.workers import Failure, Task, WorkerPool, WorkerSetup
from pnas_sim.evaluate import Evaluation
from pnas_sim.space import CellSpace

HOURS = "the first training that ends after these is the last; those in flight then are given up"
NICENESS = 15  # the trainings give way to everything else


@dataclass(frozen=True, slots=True)
class Job:
    """One training.

    Attributes:
        labels: by key of the line, what the training is called, such as its study and its candidate.
        base: the recipe that it differs from.
        settings: in which it differs.
        cell: text.
        seed: of the training.
    """

    labels: Mapping[str, str]
    base: Recipe
    settings: Mapping[str, Any]
    cell: str
    seed: int

    @property
    def name(self) -> str:
        """For messages: the last of its labels."""
        return list(self.labels.values())[-1]

    @property
    def recipe(self) -> Recipe:
        """How it is trained."""
        return self.base.change(**self.settings)


# ------------------------------------------------------------------------------------------------- the lines


def describe(job: Job, evaluation: Evaluation, **more: str) -> dict[str, Any]:
    """The line of a finished training; `more` stands behind its seed."""
    return {
        **job.labels,
        "settings": dict(job.settings),
        "cell": job.cell,
        "seed": job.seed,
        **more,
        "status": evaluation.status.name.lower(),
        "valid_accuracy": evaluation.valid_accuracy,
        "test_accuracy": evaluation.test_accuracy,
        "curve": [list(point) for point in evaluation.curve],
        "seconds": round(evaluation.seconds, 2),
    }


def find_lines(job: Job, lines: Sequence[Mapping[str, Any]], path: Path) -> Iterator[Mapping[str, Any]]:
    """The lines of this very training.

    Raises:
        SystemExit: one has the same labels and other settings.
    """
    wanted = {**job.labels, "cell": job.cell, "seed": job.seed}
    for line in lines:
        if all(line.get(key) == value for key, value in wanted.items()):
            if line["settings"] != dict(job.settings):
                raise SystemExit(f"{path.name} has {job.name} with other settings; rename it")
            yield line


# --------------------------------------------------------------------------------------------------- training


def add_training_options(parser: argparse.ArgumentParser, data: str = "folder of CIFAR-10") -> None:
    """What every command that trains is told."""
    parser.add_argument("--data", type=Path, required=True, help=data)
    parser.add_argument("--workers", type=read_workers, default=1)
    parser.add_argument("--hours", type=float, help=HOURS)


def read_workers(text: str) -> int:
    """A number of processes, at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes; give at least 1")
    return int(text)


def train(
    jobs: Sequence[Job],
    path: Path,
    space: CellSpace,
    data: Path,
    workers: int,
    hours: float | None,
    **more: str,
) -> None:
    """Trains the jobs in order, a line of the file for each that finishes.

    Args:
        jobs: those that have no line yet.
        path: of the lines.
        space: of the cells.
        data: folder of the images.
        workers: processes.
        hours: by the clock; the first training that ends after these, also by failing, is the last, and those
            in flight then are given up, to be tried again. None: any.
        more: stands in each line, see `describe`.
    """
    os.nice(NICENESS)  # the workers inherit it
    pool = WorkerPool([WorkerSetup(space, data, "cpu", None)] * workers)
    tasks = [Task(place, space.parse(job.cell), job.recipe, job.seed) for place, job in enumerate(jobs)]
    begun = time.monotonic()
    try:
        for done, (place, outcome) in enumerate(pool.run(tasks), 1):
            job = jobs[place]
            if isinstance(outcome, Failure):
                tell(f"failed: {job.name} {job.cell}: {outcome.reason}")
            else:
                append_line(path, describe(job, outcome, **more))
                tell(
                    f"{done}/{len(jobs)} {job.name} seed {job.seed}: {outcome.valid_accuracy:.4f} in "
                    f"{outcome.seconds:.1f} s"
                )
            if hours is not None and time.monotonic() - begun > hours * 3600:
                break
    finally:
        pool.close()


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
