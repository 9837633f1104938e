"""Between the two forms of an answer: `Evaluation` objects one by one, and `Answers` as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnas_sim.evaluate import Answers, Evaluation, Source, Status

# What an `Answers` says once of all cells; its other fields are arrays with one value a cell.
_COMMON = ("source", "epochs", "seed")
ARRAYS = tuple(field.name for field in fields(Answers) if field.name not in _COMMON)
_TYPES = {"status": np.uint8, "parameters": np.int64, "multiply_adds": np.int64, "extrapolated": np.bool_}


def select_answers(answers: Answers, places: NDArray[Any] | slice) -> Answers:
    """Some of the answers: `places` indexes them, `intp[k]`, `bool[n]` or a slice."""
    return replace(answers, **{name: getattr(answers, name)[places] for name in ARRAYS})


def put_answers(answers: Answers, places: NDArray[Any], others: Answers) -> Answers:
    """A copy of some answers with `others` at `places` (`intp[k]`)."""
    arrays = {name: getattr(answers, name).copy() for name in ARRAYS}
    for name, values in arrays.items():
        values[places] = getattr(others, name)
    return replace(answers, **arrays)


def unpack_answers(answers: Answers, cells: Sequence[str]) -> Iterator[Evaluation]:
    """Yields array answers as one `Evaluation` after another.

    Args:
        answers: n of them.
        cells: the n canonical texts.
    """
    columns = {name: getattr(answers, name).tolist() for name in ARRAYS}
    columns["status"] = [Status(value) for value in columns["status"]]
    common = {name: getattr(answers, name) for name in _COMMON}
    for cell, *values in zip(cells, *columns.values(), strict=True):
        yield Evaluation(cell=cell, **dict(zip(columns, values, strict=True)), **common)


def pack_answers(evaluations: Sequence[Evaluation], source: Source, epochs: float, seed: int) -> Answers:
    """Evaluations as arrays, in their order; learning curves and error texts have no place there.

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
    return Answers(source=source, epochs=epochs, seed=seed, **arrays)
