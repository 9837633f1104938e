"""Any function as an evaluator, of cells of up to ten blocks.

A function of token rows answers all of them at once:

    def judge(cells):                       # uint8[n, width], canonical rows
        return 0.5 + 0.02 * (cells == 0).sum(axis=1)

    evaluator = FunctionEvaluator(judge, CellSpace(max_blocks=10))
    run_search(search, evaluator, budget=Budget(models=1000))

A function of one cell is called for each, and each answer counts as soon as it is there:

    def train(cell, seed):                  # pnas_sim.space.Cell, and the training seed
        valid, test, seconds = my_training(cell.text, seed)
        return {"valid_accuracy": valid, "test_accuracy": test, "seconds": seconds}

    evaluator = FunctionEvaluator(train, CellSpace(max_blocks=5), takes="cell", takes_seed=True, epochs=20)
    run_search(search, evaluator, budget=Budget(seconds=3600))

Seed noise is added by `pnas_sim.wrappers.Noisy`, another attempt for what failed by `Retried`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_sim.answers import unpack_answers
from pnas_sim.errors import BackendError, SettingError
from pnas_sim.evaluate import Answers, Evaluation, EvaluatorSpec, Source, Status, check_request
from pnas_sim.plugins import describe_error
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Rows

Costs: TypeAlias = Callable[[Rows], tuple[NDArray[Any], NDArray[Any]]]
Told: TypeAlias = dict[str, Floats]  # `float64[n]` each, by the name of a field of `Answers`

TOLD = ("valid_accuracy", "expected_valid_accuracy", "test_accuracy", "examples", "seconds")  # of a cell


class FunctionEvaluator:
    """Answers with what a function returns; an `Evaluator`, and a `BulkEvaluator` where it takes rows.

    A cell for which the function raises is answered as failed, with the reason (a function of rows that
    raises is asked for each cell by itself); one that gets NaN as diverged. A function that raises for each
    of the first cells it is asked about, if they are several, is taken for broken. It must depend on nothing
    but its arguments, unless `deterministic` is False.

    Args:
        function: of canonical rows (`uint8[n, width]`), returning n accuracies in [0, 1]; or of a `Cell`,
            returning one, or a mapping with `valid_accuracy` and, of the fields of `Evaluation`, also
            `expected_valid_accuracy`, `test_accuracy`, `examples` or `seconds`. After its cells it takes the
            epochs, where fidelities are given, and the seed, where `takes_seed` is set.
        space: of the cells.
        takes: "rows" or "cell".
        takes_seed: the function takes the evaluation seed (at least 0), and trains or draws by it. Without,
            every seed has the same answers.
        epochs: the full training length E.
        fidelities: the epochs that may be asked for; empty: any. None: only `epochs`, and the function is not
            told.
        train_images: training images of one epoch, for the count of examples.
        seconds: of a child at E epochs, in proportion at others; None: the CPU seconds of the call in this
            process, to which those of others, or of a GPU, are unknown.
        costs: of canonical rows, returning parameters and multiply-adds (`int64[n]` each); None: unknown.
        chance: the accuracy of guessing.
        source: where the accuracies come from; None: trained, if it takes a cell, else predicted. Predicted
            ones are free of seed noise, and so the expected ones too, unless it takes the seed or is not
            deterministic.
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
        takes_seed: bool = False,
        epochs: float = 1.0,
        fidelities: tuple[float, ...] | None = None,
        train_images: int = 0,
        seconds: float | None = None,
        costs: Costs | None = None,
        chance: float = 0.1,
        source: Source | None = None,
        deterministic: bool = True,
        name: str = "function",
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        if takes not in ("rows", "cell"):
            raise SettingError(f"takes is {takes!r}; a function takes rows or cell")
        _check_numbers(epochs, fidelities, seconds, chance)
        self._function, self._takes_epochs, self._takes_seed = function, fidelities is not None, takes_seed
        self._takes_rows, self._works = takes == "rows", False  # it works: a cell was answered
        self._seconds, self._costs = seconds, costs
        self._source = source or (Source.PREDICTED if self._takes_rows else Source.TRAINED)
        self._free_of_noise = self._source == Source.PREDICTED and deterministic and not takes_seed
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

        Failures before the first other answer wait for it: a function that only raises leaves no answers.

        Raises:
            RequestError: as `check_request`.
            BackendError: the function returns what is no accuracy, or raises for all of the first cells.
        """
        check_request(self._spec, cells, epochs, seed)
        return self._evaluate_parts(cells, epochs, seed)

    def close(self) -> None:
        """Nothing is held."""

    def _evaluate_bulk(self, cells: Rows, epochs: float, seed: int) -> Answers:
        """As `BulkEvaluator.evaluate_bulk`; raises as `evaluate`."""
        check_request(self._spec, cells, epochs, seed)
        answers, raised = self._answer(cells, epochs, seed)
        self._demand_some(list(raised.values()), len(cells))
        return answers

    def _evaluate_parts(self, cells: Rows, epochs: float, seed: int) -> Iterator[Evaluation]:
        texts = self._spec.space.format_many(cells)
        size = max(1, len(cells)) if self._takes_rows else 1
        waiting: list[Evaluation] = []
        failures: list[Exception] = []
        for begin in range(0, len(cells), size):
            part = slice(begin, begin + size)
            answers, raised = self._answer(cells[part], epochs, seed)
            waiting += unpack_answers(answers, texts[part])
            failures += raised.values()
            if self._works:
                yield from waiting
                waiting.clear()
        self._demand_some(failures, len(cells))
        yield from waiting

    def _demand_some(self, failures: Sequence[Exception], asked: int) -> None:
        """Checks that a function answers something of the first cells that it is asked about.

        Raises:
            BackendError: it raised for each of them; one cell alone may fail.
        """
        if len(failures) == asked > 1 and not self._works:
            given = "an array of rows" if self._takes_rows else "a Cell"
            raise BackendError(
                f"function {self._spec.name} raised for each of the first {asked} cells: "
                f"{describe_error(failures[0])}; mend it (it is given {given}, as takes says)"
            ) from failures[0]

    def _answer(self, cells: Rows, epochs: float, seed: int) -> tuple[Answers, dict[int, Exception]]:
        """The answers, and what the function raised, by place."""
        count, spec = len(cells), self._spec
        begun = time.process_time()
        told, raised = self._call(cells, epochs, seed)
        spent = time.process_time() - begun
        self._works = self._works or len(raised) < count
        values = told["valid_accuracy"]
        status = np.where(np.isnan(values), Status.DIVERGED, Status.OK).astype(np.uint8)
        status[list(raised)] = Status.FAILED
        errors = {int(at): "the function returned nan" for at in np.flatnonzero(status == Status.DIVERGED)}
        errors |= {at: describe_error(error) for at, error in raised.items()}
        valid = np.where(status == Status.DIVERGED, spec.chance, values)
        parameters, multiply_adds = self._count_costs(cells)
        share = float(epochs) / spec.epochs
        each = spent / max(1, count) if self._seconds is None else self._seconds * share
        unknown = np.full(count, math.nan)
        assumed = {
            "expected_valid_accuracy": valid if self._free_of_noise else unknown,
            "test_accuracy": unknown,
            "examples": np.full(count, float(epochs) * spec.train_images),
            "seconds": np.full(count, each),
        }
        answers = Answers(
            source=self._source,
            epochs=float(epochs),
            seed=seed,
            status=status,
            parameters=parameters,
            multiply_adds=multiply_adds,
            extrapolated=np.zeros(count, np.bool_),
            errors=np.array([errors.get(at, "") for at in range(count)], np.object_) if errors else None,
            **{**assumed, **told, "valid_accuracy": valid},
        )
        return answers, raised

    def _call(self, cells: Rows, epochs: float, seed: int) -> tuple[Told, dict[int, Exception]]:
        """What the function said (NaN where it raised, or said so), and what it raised, by place."""
        if len(cells) == 0:
            return {"valid_accuracy": np.zeros(0)}, {}
        asked = cells.copy() if self._takes_rows else self._spec.space.cell(cells[0])
        more = [float(epochs)] if self._takes_epochs else []
        more += [seed] if self._takes_seed else []
        try:
            found = self._function(asked, *more)
        except Exception as error:
            if len(cells) == 1:
                return {"valid_accuracy": np.full(1, math.nan)}, {0: error}
            each = [self._call(cells[at : at + 1], epochs, seed) for at in range(len(cells))]
            raised = {at: errors[0] for at, (_, errors) in enumerate(each) if errors}
            return {"valid_accuracy": np.concatenate([told["valid_accuracy"] for told, _ in each])}, raised
        if isinstance(found, Mapping) and not self._takes_rows:
            return self._read_mapping(found, cells), {}
        return {"valid_accuracy": self._read(found, cells)}, {}

    def _read_mapping(self, found: Mapping[Any, Any], cells: Rows) -> Told:
        """What the function told of one cell.

        Raises:
            BackendError: a name is none of `TOLD`, the accuracy is missing, or a value is out of range.
        """
        unknown = [str(name) for name in found if name not in TOLD]
        if unknown or "valid_accuracy" not in found:
            given = ", ".join(map(str, found)) or "nothing"
            raise BackendError(
                f"function {self._spec.name} returned a mapping with {given}; give valid_accuracy, and "
                f"of the others only {', '.join(TOLD[1:])}"
            )
        return {
            str(name): self._read(value, cells, 1.0 if name.endswith("accuracy") else math.inf)
            for name, value in found.items()
        }

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

    def _read(self, found: Any, cells: Rows, most: float = 1.0) -> Floats:
        """What the function returned as numbers: accuracies, unless `most` is more than 1.

        Raises:
            BackendError: it is no array of one number a cell, or one lies outside [0, most].
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
        wrong = np.flatnonzero(~(np.isnan(values) | ((values >= 0) & (values <= most))))
        if len(wrong):
            text = self._spec.space.format(cells[wrong[0]])
            told = "accuracies lie in [0, 1]" if most == 1 else "examples and seconds are at least 0"
            raise BackendError(f"function {name} returned {values[wrong[0]]:g} for {text}; {told}")
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
