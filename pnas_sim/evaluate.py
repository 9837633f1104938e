"""The seam between a search and whatever says how good a cell is.

An evaluator is one method, `evaluate`, a `spec` and `close`. It gets canonical token rows and yields one
`Evaluation` a row, each as soon as it is known, in any order. Evaluators that can answer thousands of rows at
once offer `evaluate_bulk` beside it (`BulkEvaluator`), in the order of asking.

A child that crashes, diverges or runs out of memory or time is an answer, with its status and reason, and no
exception. What is raised, by the call or in place of the first answer, is one of

    CellError         rows of another width than the space's, or cells outside it
    BackendError      epochs, or cells, that this evaluator cannot serve; the message lists what it can
    SettingError      epochs that are no positive number, a seed below 0
    DataError         images that cannot be read
    BudgetSpentError  a budget of the evaluator's own is spent (`pnas_sim.wrappers.Budgeted`)

all of them errors of `pnas_sim.errors`, with a message of one line; `check_request` raises the first three
for any evaluator. Rows that are not canonical are the caller's mistake, and need not be noticed.
`pnas_sim.testing.check_evaluator` checks all this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from math import isfinite, nan
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import BackendError, SettingError
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Rows


class Status(IntEnum):
    """How the evaluation of a child ended."""

    OK = 0
    DIVERGED = 1  # trained to chance accuracy, or to not-a-number; told to everyone as chance
    FAILED = 2  # crash, out of memory, time limit: no accuracy is known


class Source(StrEnum):
    """Where an accuracy comes from."""

    TRAINED = "trained"  # a network was trained for this answer
    MEASURED = "measured"  # looked up among trained cells
    PREDICTED = "predicted"  # a surrogate's guess, noise added or not


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What is known of one child.

    Attributes:
        cell: canonical text.
        status: how it ended.
        source: where the accuracy comes from.
        valid_accuracy: on the validation images, in [0, 1]; NaN if unknown. This one drives the search.
        expected_valid_accuracy: the same free of seed noise, where the evaluator knows it; else NaN.
        test_accuracy: in [0, 1] or NaN. Recorded, never shown to a strategy or predictor.
        epochs: passes over the training images; may be a fraction.
        examples: epochs times training images.
        seconds: CPU seconds of this child, never the wall clock of a shared machine; on a GPU the time
            between two marks in its stream, which holds what other processes on that GPU took meanwhile.
        parameters: of the child network; -1 if unknown.
        multiply_adds: of one forward pass on one image; -1 if unknown.
        curve: (epochs, validation accuracy) at each checkpoint.
        seed: the training seed.
        extrapolated: the cell lies outside what the evaluator was made from.
        error: one line on what went wrong; empty if nothing did.
    """

    cell: str
    status: Status = Status.OK
    source: Source = Source.TRAINED
    valid_accuracy: float = nan
    expected_valid_accuracy: float = nan
    test_accuracy: float = nan
    epochs: float = 0.0
    examples: float = 0.0
    seconds: float = 0.0
    parameters: int = -1
    multiply_adds: int = -1
    curve: tuple[tuple[float, float], ...] = ()
    seed: int = 0
    extrapolated: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Evaluations as arrays, row i for the i-th cell asked; fields as in `Evaluation`, but without curves."""

    source: Source
    epochs: float
    seed: int  # the evaluation seed that was asked with
    status: NDArray[np.uint8]  # [n]
    valid_accuracy: Floats  # [n]
    expected_valid_accuracy: Floats  # [n]
    test_accuracy: Floats  # [n]
    examples: Floats  # [n]
    seconds: Floats  # [n]
    parameters: NDArray[np.int64]  # [n]
    multiply_adds: NDArray[np.int64]  # [n]
    extrapolated: NDArray[np.bool_]  # [n]
    seeds: NDArray[np.int64] | None = None  # [n], training seeds; None: all are `seed`
    errors: NDArray[np.object_] | None = None  # [n] of str; None: all are empty

    def __len__(self) -> int:
        return len(self.valid_accuracy)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatorSpec:
    """What an evaluator declares about itself.

    Attributes:
        name: as in the registry.
        space: the space whose cells it answers.
        epochs: the full training length E, used where a search names none.
        fidelities: the epochs it can answer for, ascending; empty if any positive number will do.
        deterministic: same cells, epochs and seed give the same answers, in another process too.
        train_images: training images of one epoch.
        chance: the accuracy of guessing, told for children that diverged or failed.
        checksum: of the data the answers come from; empty if there is none. A resumed run compares it.
        settings: what the evaluator was made with, for the run's record; JSON values.
        continues: a training for more epochs goes on from the one for fewer of the same cell and seed, as the
            points of one curve do: the engine counts what it costs beyond that.
    """

    name: str
    space: CellSpace
    epochs: float
    fidelities: tuple[float, ...] = ()
    deterministic: bool = True
    train_images: int = 0
    chance: float = 0.1
    checksum: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    continues: bool = False


@runtime_checkable
class Evaluator(Protocol):
    """Says how good cells are."""

    @property
    def spec(self) -> EvaluatorSpec:
        """What this evaluator declares about itself."""
        ...

    def evaluate(self, cells: Rows, epochs: float, seed: int) -> Iterator[Evaluation]:
        """Yields one evaluation for each canonical row of `cells` (`uint8[n, width]`), in any order.

        Giving up the iteration ends what is in flight.

        Args:
            cells: `uint8[n, width]` of the spec's space; n may be 0.
            epochs: one of the spec's fidelities, or any positive number where it lists none.
            seed: the evaluation seed, at least 0: of training or of seed noise.

        Raises:
            RequestError: as the head of this module says.
        """
        ...

    def close(self) -> None:
        """Releases processes and files; the evaluator is not used after it. May be called twice."""
        ...


@runtime_checkable
class BulkEvaluator(Protocol):
    """An evaluator that also answers whole arrays at once; the same answers, in the order of asking."""

    @property
    def spec(self) -> EvaluatorSpec:
        """What this evaluator declares about itself."""
        ...

    def evaluate(self, cells: Rows, epochs: float, seed: int) -> Iterator[Evaluation]:
        """As `Evaluator.evaluate`."""
        ...

    def evaluate_bulk(self, cells: Rows, epochs: float, seed: int) -> Answers:
        """Answers for `cells` (`uint8[n, width]`, canonical), in their order; raises as `evaluate`."""
        ...

    def close(self) -> None:
        """As `Evaluator.close`."""
        ...


@runtime_checkable
class ModelledEvaluator(Protocol):
    """An evaluator that answers a model's word and something drawn for each cell, which none can learn."""

    def predict_mean(self, cells: Rows) -> Floats:
        """What the model alone says of `cells` (`uint8[n, width]`, canonical): accuracies, `float64[n]`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendRequest:
    """What a backend's factory is called with.

    Attributes:
        blocks: the largest number of blocks the search will ask for.
        options: options the user gave, by their long name with underscores (`train_images`);
            only those given.
            A factory refuses an option it does not know with `SettingError`.
    """

    blocks: int
    options: Mapping[str, Any] = field(default_factory=dict)


def check_request(spec: EvaluatorSpec, cells: Rows, epochs: float, seed: int) -> None:
    """Checks what an evaluator is asked for against what it declares.

    Raises:
        CellError: rows of another width than the space's, or cells outside it.
        BackendError: epochs that are none of the fidelities.
        SettingError: epochs that are no positive number, or a seed below 0.
    """
    spec.space.validate(cells)
    if not (isfinite(epochs) and epochs > 0):
        raise SettingError(f"epochs is {epochs:g}; it must be a positive number")
    if spec.fidelities and epochs not in spec.fidelities:
        known = ", ".join(f"{at:g}" for at in spec.fidelities)
        raise BackendError(f"{epochs:g} epochs asked for; backend {spec.name} has {known}; choose one")
    if seed < 0:
        raise SettingError(f"evaluation seed is {seed}; it must be at least 0")
