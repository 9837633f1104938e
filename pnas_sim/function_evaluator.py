"""Any function as an evaluator, of cells of up to ten blocks.

A function of token rows answers all of them at once:

    def judge(cells):                       # uint8[n, width], canonical rows
        return 0.5 + 0.02 * (cells == 0).sum(axis=1)

    evaluator = FunctionEvaluator(judge, CellSpace(max_blocks=10))
    run_search(search, evaluator, budget=Budget(models=1000))

A function of one cell is called for each, and each answer counts as soon as it is there:

    def train(cell):                        # pnas_sim.space.Cell
        return my_training(cell.text)       # validation accuracy in [0, 1]

    evaluator = FunctionEvaluator(train, CellSpace(max_blocks=5), takes="cell", epochs=20)
    run_search(search, evaluator, budget=Budget(seconds=3600))

Seed noise is added by `pnas_sim.wrappers.Noisy`, another attempt for what failed by `Retried`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_sim.answers import unpack_answers
from pnas_sim.errors import BackendError, SettingError
from pnas_sim.evaluate import Answers, Evaluation, EvaluatorSpec, Floats, Rows, Source, Status, check_request
from pnas_sim.plugins import describe_error
from pnas_sim.space import CellSpace

Costs: TypeAlias = Callable[[Rows], tuple[NDArray[Any], NDArray[Any]]]


class FunctionEvaluator:
    """Answers with what a function returns; an `Evaluator`, and a `BulkEvaluator` where it takes rows.

    A cell for which the function raises is answered as failed, with the reason (a function of rows that
    raises is asked for each cell by itself); one that gets NaN as diverged. The function must depend on
    nothing but its arguments, unless `deterministic` is False.

    Args:
        function: of canonical rows (`uint8[n, width]`), returning n accuracies in [0, 1]; or of a `Cell`,
            returning one. Where fidelities are given it takes the epochs as its second argument.
        space: of the cells.
        takes: "rows" or "cell".
        epochs: the full training length E.
        fidelities: the epochs that may be asked for; empty: any. None: only `epochs`, and the function is not
            told.
        train_images: training images of one epoch, for the count of examples.
        seconds: of a child at E epochs, in proportion at others; None: the CPU seconds of the call.
        costs: of canonical rows, returning parameters and multiply-adds (`int64[n]` each); None: unknown.
        chance: the accuracy of guessing.
        source: where the accuracies come from.
        deterministic: the same call gives the same accuracies, in another process too.
        name: for messages and the run's record.
        settings: for the run's record; JSON values.

    Raises:
        SettingError: takes, epochs, fidelities, seconds or chance out of range.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        space: CellSpace,
        *,
        takes: Literal["rows", "cell"] = "rows",
        epochs: float = 1.0,
        fidelities: tuple[float, ...] | None = None,
        train_images: int = 0,
        seconds: float | None = None,
        costs: Costs | None = None,
        chance: float = 0.1,
        source: Source = Source.PREDICTED,
        deterministic: bool = True,
        name: str = "function",
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        if takes not in ("rows", "cell"):
            raise SettingError(f"takes is {takes!r}; a function takes rows or cell")
        _check_numbers(epochs, fidelities, seconds, chance)
        self._function, self._takes_epochs = function, fidelities is not None
        self._takes_rows = takes == "rows"
        self._seconds, self._costs, self._source = seconds, costs, source
        self._spec = EvaluatorSpec(
            name=name,
            space=space,
            epochs=float(epochs),
            fidelities=(float(epochs),) if fidelities is None else tuple(float(at) for at in fidelities),
            deterministic=deterministic,
            train_images=train_images,
            chance=chance,
            settings=dict(settings or {}),
        )
        self.evaluate_bulk = self._evaluate_bulk if self._takes_rows else None

    @property
    def spec(self) -> EvaluatorSpec:
        """What was declared."""
        return self._spec

    def evaluate(self, cells: Rows, epochs: float, seed: int) -> Iterator[Evaluation]:
        """Yields one answer a row, in their order; of a function of one cell each as soon as it is known.

        Raises:
            RequestError: as `check_request`.
            BackendError: the function returns what is no accuracy.
        """
        check_request(self._spec, cells, epochs, seed)
        size = max(1, len(cells)) if self._takes_rows else 1
        parts = [cells[begin : begin + size] for begin in range(0, len(cells), size)]
        return (answer for part in parts for answer in self._describe(part, epochs, seed))

    def close(self) -> None:
        """Nothing is held."""

    def _evaluate_bulk(self, cells: Rows, epochs: float, seed: int) -> Answers:
        """As `BulkEvaluator.evaluate_bulk`; raises as `evaluate`."""
        check_request(self._spec, cells, epochs, seed)
        return self._answer(cells, epochs, seed)

    def _describe(self, cells: Rows, epochs: float, seed: int) -> Iterator[Evaluation]:
        return unpack_answers(self._answer(cells, epochs, seed), self._spec.space.format_many(cells))

    def _answer(self, cells: Rows, epochs: float, seed: int) -> Answers:
        count, spec = len(cells), self._spec
        begun = time.process_time()
        values, errors = self._call(cells, epochs)
        spent = time.process_time() - begun
        status = np.where(np.isnan(values), Status.DIVERGED, Status.OK).astype(np.uint8)
        status[list(errors)] = Status.FAILED
        errors |= {int(at): "the function returned nan" for at in np.flatnonzero(status == Status.DIVERGED)}
        parameters, multiply_adds = self._count_costs(cells)
        share = float(epochs) / spec.epochs
        each = spent / max(1, count) if self._seconds is None else self._seconds * share
        valid = np.where(status == Status.DIVERGED, spec.chance, values)
        return Answers(
            source=self._source,
            epochs=float(epochs),
            seed=seed,
            status=status,
            valid_accuracy=valid,
            expected_valid_accuracy=valid if spec.deterministic else np.full(count, math.nan),
            test_accuracy=np.full(count, math.nan),
            examples=np.full(count, float(epochs) * spec.train_images),
            seconds=np.full(count, each),
            parameters=parameters,
            multiply_adds=multiply_adds,
            extrapolated=np.zeros(count, np.bool_),
            errors=np.array([errors.get(at, "") for at in range(count)], np.object_) if errors else None,
        )

    def _call(self, cells: Rows, epochs: float) -> tuple[Floats, dict[int, str]]:
        """Accuracies (`float64[n]`, NaN where the function raised or said so); what it raised, by place."""
        if len(cells) == 0:
            return np.zeros(0), {}
        asked = cells.copy() if self._takes_rows else self._spec.space.cell(cells[0])
        try:
            found = self._function(asked, float(epochs)) if self._takes_epochs else self._function(asked)
        except Exception as error:
            if len(cells) == 1:
                return np.full(1, math.nan), {0: describe_error(error)}
            each = [self._call(cells[at : at + 1], epochs) for at in range(len(cells))]
            errors = {at: reasons[0] for at, (_, reasons) in enumerate(each) if reasons}
            return np.concatenate([values for values, _ in each]), errors
        return self._read(found, cells), {}

    def _count_costs(self, cells: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Parameters and multiply-adds, `int64[n]` each; -1 where they are not known."""
        if self._costs is None:
            unknown = np.full(len(cells), -1, np.int64)
            return unknown, unknown
        parameters, multiply_adds = (np.asarray(costs, np.int64) for costs in self._costs(cells))
        if parameters.shape != (len(cells),) or multiply_adds.shape != (len(cells),):
            raise BackendError(
                f"costs of function {self._spec.name} have the shapes {parameters.shape} and "
                f"{multiply_adds.shape}; return ({len(cells)},) of both for {len(cells)} cells"
            )
        return parameters, multiply_adds

    def _read(self, found: Any, cells: Rows) -> Floats:
        """What the function returned as accuracies.

        Raises:
            BackendError: it is no array of one number a cell, or one lies outside [0, 1].
        """
        name, shape = self._spec.name, (len(cells),) if self._takes_rows else ()
        try:
            values = np.asarray(found)
        except (TypeError, ValueError, RuntimeError):
            values = np.array(None)
        if values.dtype.kind not in "buif":
            kind = type(found).__name__
            raise BackendError(f"function {name} returned {kind} that are no numbers; return them, in [0, 1]")
        if values.shape != shape:
            wanted = f"{shape} for {len(cells)} cells" if self._takes_rows else "one number for a cell"
            raise BackendError(f"function {name} returned an array of shape {values.shape}; return {wanted}")
        values = values.reshape(len(cells)).astype(np.float64)
        wrong = np.flatnonzero(~(np.isnan(values) | ((values >= 0) & (values <= 1))))
        if len(wrong):
            text = self._spec.space.format(cells[wrong[0]])
            raise BackendError(
                f"function {name} returned {values[wrong[0]]:g} for {text}; accuracies lie in [0, 1]"
            )
        return values


def _check_numbers(
    epochs: float, fidelities: tuple[float, ...] | None, seconds: float | None, chance: float
) -> None:
    for at in (epochs, *(fidelities or ())):
        if not (math.isfinite(at) and at > 0):
            raise SettingError(f"epochs is {at}; it must be a positive number")
    if fidelities and (list(fidelities) != sorted(set(fidelities)) or epochs not in fidelities):
        listed = ", ".join(f"{at:g}" for at in fidelities)
        raise SettingError(f"fidelities are {listed}; list them ascending, epochs ({epochs:g}) among them")
    if seconds is not None and not (math.isfinite(seconds) and seconds >= 0):
        raise SettingError(f"seconds is {seconds}; it must be a number of at least 0, or None")
    if not 0 <= chance <= 1:
        raise SettingError(f"chance is {chance}; it must lie in [0, 1]")
