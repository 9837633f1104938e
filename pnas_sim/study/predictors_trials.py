"""The work of a predictor study: fit on some cells of a pool, predict that pool and the next, keep it.

A job is one predictor on one pool with all its trials (the loop over t of Algorithm 2). The file it leaves is
named after everything that decides it, so a study given again makes only what is missing.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_sim import __version__
from pnas_sim.errors import PnasError, SettingError, WorkError
from pnas_sim.files import make_plain
from pnas_sim.packed import DAMAGED, read_arrays
from pnas_sim.plugins import describe_error
from pnas_sim.predict import Predictor, make_predictor
from pnas_sim.predict.asking import ask_predictor
from pnas_sim.space import CellSpace, name_size
from pnas_sim.space.arrays import Floats
from pnas_sim.study.finished import LARGEST, find_fingerprint, write_whole
from pnas_sim.study.predictors_pools import Pool

Indices: TypeAlias = NDArray[np.intp]

_CHOICE, _FIT = 1, 2  # random streams of a study's seed


@dataclass(frozen=True, slots=True)
class Trials:
    """What a predictor said in T trials.

    Attributes:
        fitted: `intp[T, k]`, the cells of the pool that each trial was fitted on.
        here: `float64[T, n]`, predictions on the pool.
        beyond: `float64[T, m]`, predictions on the next pool.
        seconds: `float64[T]`, of each fit, the process's own: a busy machine does not stretch them.
    """

    fitted: Indices
    here: Floats
    beyond: Floats
    seconds: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialJob:
    """One predictor on one pool.

    Attributes:
        predictor: its name.
        options: of the predictor.
        space: of the cells.
        here: the pool fitted on.
        beyond: the pool of cells one block larger.
        fitted: K, cells of each fit; all of the pool where there are fewer.
        trials: T.
        seed: of the choice of cells, the same for every predictor, and of the fits.
        data: checksum of what the truth comes from, with the name of its source.
    """

    predictor: str
    options: Mapping[str, Any] = field(default_factory=dict)
    space: CellSpace
    here: Pool
    beyond: Pool
    fitted: int
    trials: int
    seed: int
    data: str

    @property
    def blocks(self) -> int:
        """Size of the cells fitted."""
        return int(self.space.block_counts(self.here.cells[:1])[0])

    @property
    def file_name(self) -> str:
        """Of what it leaves; another for anything that would make it differ."""
        decides = {
            "version": __version__,
            "predictor": self.predictor,
            "options": dict(self.options),
            "operations": self.space.operations,
            "blocks": self.blocks,
            "cells": [len(self.here), len(self.beyond)],
            "fitted": self.fitted,
            "trials": self.trials,
            "seed": self.seed,
            "data": self.data,
        }
        return f"{make_plain(self.predictor)}-b{self.blocks}-{find_fingerprint(decides)}.npz"

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.predictor} on {self.fitted} cells of {name_size(self.blocks)}"

    def run(self, folder: Path) -> None:
        """Runs all trials and leaves its file.

        Raises:
            WorkError: the predictor failed, or the file cannot be written.
        """
        write_trials(folder / self.file_name, run_trials(self))

    def is_done(self, folder: Path) -> bool:
        """Whether its file is there and whole."""
        return read_trials(folder / self.file_name) is not None


def choose_cells(pool: Pool, fitted: int, blocks: int, trial: int, seed: int) -> Indices:
    """Chooses the cells of a trial, without replacement, `intp[min(fitted, n)]`, ascending."""
    rng = np.random.default_rng([seed, _CHOICE, blocks, fitted, trial])
    return np.sort(rng.permutation(len(pool))[:fitted])


def run_trials(job: TrialJob) -> Trials:
    """Runs all trials of a job; each begins with a fresh predictor.

    Raises:
        WorkError: the predictor raised something that is no error of this project.
    """
    count = min(job.fitted, len(job.here))
    fitted = np.empty((job.trials, count), np.intp)
    here, beyond = np.empty((job.trials, len(job.here))), np.empty((job.trials, len(job.beyond)))
    seconds = np.empty(job.trials)
    for trial in range(job.trials):
        fitted[trial] = chosen = choose_cells(job.here, job.fitted, job.blocks, trial, job.seed)
        predictor = make_predictor(job.predictor, job.space, **job.options)
        begun = time.process_time()
        _fit(job, predictor, chosen, trial)
        seconds[trial] = time.process_time() - begun
        here[trial] = _ask(job, predictor, job.here)
        beyond[trial] = _ask(job, predictor, job.beyond)
    return Trials(fitted, here, beyond, seconds)


def _fit(job: TrialJob, predictor: Predictor, chosen: Indices, trial: int) -> None:
    seed = int(np.random.SeedSequence([job.seed, _FIT, job.blocks, trial]).generate_state(1)[0])
    with _name_in_errors(job):
        predictor.fit(job.here.cells[chosen], job.here.noisy[chosen], seed)


def _ask(job: TrialJob, predictor: Predictor, pool: Pool) -> Floats:
    with _name_in_errors(job):
        try:
            return np.asarray(ask_predictor(predictor, pool.cells).mean, np.float64)
        except SettingError as error:
            raise WorkError(
                f"predictor {job.predictor} does not answer every cell: {error}; check it with "
                "pnas_sim.testing.predictors.check_predictor"
            ) from error


@contextmanager
def _name_in_errors(job: TrialJob) -> Iterator[None]:
    """Says which predictor raised what is no error of this project."""
    try:
        yield
    except PnasError:
        raise
    except Exception as error:
        raise WorkError(f"predictor {job.predictor} failed: {describe_error(error)}; mend it") from error


def read_trials(path: Path) -> Trials | None:
    """Reads what a job left; nothing where it is missing or damaged, for then it is made again."""
    try:
        return Trials(**read_arrays(path, ("fitted", "here", "beyond", "seconds"), LARGEST))
    except DAMAGED:
        return None


def write_trials(path: Path, trials: Trials) -> None:
    """Writes what a job leaves, whole or not at all.

    Raises:
        WorkError: it cannot be written.
    """
    body = io.BytesIO()
    np.savez_compressed(
        body, fitted=trials.fitted, here=trials.here, beyond=trials.beyond, seconds=trials.seconds
    )
    write_whole(path, body.getvalue())
