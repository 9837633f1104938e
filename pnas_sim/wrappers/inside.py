"""What wrappers do with the evaluator inside."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

from pnas_sim.evaluate import Answers, BulkEvaluator, Evaluation, Evaluator, EvaluatorSpec
from pnas_sim.space.arrays import Rows

Bulk: TypeAlias = Callable[[Rows, float, int], Answers]


def note_wrapper(spec: EvaluatorSpec, name: str, **settings: Any) -> EvaluatorSpec:
    """The spec of the evaluator inside with a wrapper in its record; settings are JSON values."""
    wrappers = [*spec.settings.get("wrappers", ()), {"name": name, **settings}]
    return replace(spec, settings={**spec.settings, "wrappers": wrappers})


def wrap_bulk(
    evaluator: Evaluator, answer: Callable[[BulkEvaluator, Rows, float, int], Answers]
) -> Bulk | None:
    """A wrapper's array form: `answer` with the evaluator inside, or None where that has none."""
    return partial(answer, evaluator) if isinstance(evaluator, BulkEvaluator) else None


@contextmanager
def asking(evaluator: Evaluator, cells: Rows, epochs: float, seed: int) -> Iterator[Iterator[Evaluation]]:
    """An evaluator's answers; what it has in flight is ended when they are given up."""
    answers = evaluator.evaluate(cells, epochs, seed)
    try:
        yield answers
    finally:
        if isinstance(answers, Generator):
            answers.close()
