"""What a search's process and its workers tell each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_backends.training.costs import cell_costs
from pnas_backends.training.recipe import Recipe
from pnas_sim.evaluate import Evaluation
from pnas_sim.space import CellSpace

TRIAL = -1  # in place of a task's place


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
    """One child to train.

    Attributes:
        place: among those asked for; `TRIAL` for one that nobody asked for.
        row: its tokens, `uint8[width]`.
        recipe: how.
        seed: of the training.
    """

    place: int
    row: NDArray[np.uint8]
    recipe: Recipe
    seed: int


def make_trial(task: Task, space: CellSpace) -> Task:
    """The cheapest child that there is, trained for one step by the recipe of a task, on its images.

    A place that fails even this one would fail any.
    """
    rows = space.initial()
    cheapest = rows[cell_costs(rows, space, task.recipe.shape)[1].argmin()]
    one_step = min(task.recipe.epochs, task.recipe.batch / task.recipe.train_images)
    return Task(TRIAL, cheapest, task.recipe.change(epochs=one_step, checkpoints=()), task.seed)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a child has no accuracy.

    Attributes:
        reason: one line.
        seconds: spent on it: CPU seconds, or by the clock where the worker was killed.
        machine: another process or the device may be to blame, so that it is worth another try.
        last: the worker leaves after these words, since its device answers it no more.
        late: it ran out of the time that a child is given, which says nothing against the device.
    """

    reason: str
    seconds: float = 0.0
    machine: bool = False
    last: bool = False
    late: bool = False


@dataclass(frozen=True, slots=True)
class LoadFailure:
    """Why a worker has no images, or is gone without a word on its child; nothing of that is the child's."""

    reason: str


Outcome: TypeAlias = Evaluation | Failure
