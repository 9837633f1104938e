"""Between the two forms of an answer: `Evaluation` objects one by one, and `Answers` as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import BackendError
from pnas_sim.evaluate import Answers, BulkEvaluator, Evaluation, Evaluator, Source, Status
from pnas_sim.space.arrays import Rows

# What an `Answers` says once of all cells; its other fields are arrays with one value a cell, two of which
# may be left out.
_COMMON = ("source", "epochs", "seed")
OPTIONAL = ("seeds", "errors")
ARRAYS = tuple(field.name for field in fields(Answers) if field.name not in (*_COMMON, *OPTIONAL))
_TYPES = {"status": np.uint8, "parameters": np.int64, "multiply_adds": np.int64, "extrapolated": np.bool_}


def ask_whole(evaluator: Evaluator, cells: Rows, epochs: float, seed: int) -> Answers:
    """Asks for all cells at once and waits for all answers; in bulk where the evaluator can.

    Args:
        evaluator: of a space.
        cells: `uint8[n, width]`, canonical; one cell may be there several times, and is asked for once.
        epochs: of each child.
        seed: of the evaluations.

    Raises:
        BackendError: a cell was not answered; else as the evaluator.
    """
    if isinstance(evaluator, BulkEvaluator):
        return evaluator.evaluate_bulk(cells, epochs, seed)
    space = evaluator.spec.space
    first, inverse = space.unique(cells)
    found = {one.cell: one for one in evaluator.evaluate(cells[first], epochs, seed)}
    texts = space.format_many(cells[first])
    if missing := [text for text in texts if text not in found]:
        raise BackendError(f"backend {evaluator.spec.name} did not answer for {missing[0]}; mend it")
    source = found[texts[0]].source if texts else Source.PREDICTED
    answers = pack_answers([found[text] for text in texts], source, epochs, seed)
    return select_answers(answers, inverse)


def list_seeds(answers: Answers) -> NDArray[np.int64]:
    """The training seed of each, `int64[n]`."""
    return np.full(len(answers), answers.seed, np.int64) if answers.seeds is None else answers.seeds


def list_errors(answers: Answers) -> NDArray[np.object_]:
    """What went wrong with each, in words: `object[n]` of str, empty where nothing did."""
    return np.full(len(answers), "", np.object_) if answers.errors is None else answers.errors


def select_answers(answers: Answers, places: NDArray[Any] | slice) -> Answers:
    """Some of the answers: `places` indexes them, `intp[k]`, `bool[n]` or a slice."""
    given = {name: getattr(answers, name) for name in (*ARRAYS, *OPTIONAL)}
    chosen = {name: values[places] for name, values in given.items() if values is not None}
    return replace(answers, **chosen)


def put_answers(answers: Answers, places: NDArray[Any], others: Answers) -> Answers:
    """A copy of some answers with `others` at `places` (`intp[k]`)."""
    arrays = {name: getattr(answers, name).copy() for name in ARRAYS}
    for name, values in arrays.items():
        values[places] = getattr(others, name)
    seeds, errors = list_seeds(answers).copy(), list_errors(answers).copy()
    seeds[places], errors[places] = list_seeds(others), list_errors(others)
    return replace(answers, **arrays, seeds=seeds, errors=errors)


def unpack_answers(answers: Answers, cells: Sequence[str]) -> Iterator[Evaluation]:
    """Yields array answers as one `Evaluation` after another.

    Args:
        answers: n of them.
        cells: the n canonical texts.
    """
    columns = {name: getattr(answers, name).tolist() for name in ARRAYS}
    columns["status"] = [Status(value) for value in columns["status"]]
    columns |= {"seed": list_seeds(answers).tolist(), "error": list_errors(answers).tolist()}
    source, epochs = answers.source, answers.epochs
    for cell, *values in zip(cells, *columns.values(), strict=True):
        yield Evaluation(cell=cell, source=source, epochs=epochs, **dict(zip(columns, values, strict=True)))


def pack_answers(evaluations: Sequence[Evaluation], source: Source, epochs: float, seed: int) -> Answers:
    """Evaluations as arrays, in their order; learning curves have no place there.

    Args:
        evaluations: n of them.
        source: of all.
        epochs: of all.
        seed: the evaluation seed that was asked with.
    """
    arrays: dict[str, Any] = {
        name: np.array([getattr(one, name) for one in evaluations], _TYPES.get(name, np.float64))
        for name in ARRAYS
    }
    seeds = np.array([one.seed for one in evaluations], np.int64)
    errors = np.array([one.error for one in evaluations], np.object_)
    arrays["seeds"] = seeds if (seeds != seed).any() else None
    arrays["errors"] = errors if errors.any() else None
    return Answers(source=source, epochs=epochs, seed=seed, **arrays)
