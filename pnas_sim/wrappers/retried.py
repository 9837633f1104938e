"""More attempts for children that failed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_sim.answers import list_errors, put_answers, select_answers
from pnas_sim.errors import BudgetSpentError, SettingError
from pnas_sim.evaluate import Answers, BulkEvaluator, Evaluation, Evaluator, EvaluatorSpec, Status
from pnas_sim.space.arrays import Rows
from pnas_sim.wrappers.inside import asking, note_wrapper, wrap_bulk

Places: TypeAlias = NDArray[np.intp]


class Retried:
    """Asks children that failed again, with the same seed; never those that diverged, which is their answer.

    The last attempt counts. Its `seconds` hold those of the attempts before it, and its `error` says how
    often the child failed and of what, also where it did well in the end. A child that failed and that the
    budget of the evaluator inside does not reach for again is left unanswered.

    Args:
        evaluator: that fails now and then.
        times: a child is asked again at most; at least 1.

    Raises:
        SettingError: times is below 1.
    """

    def __init__(self, evaluator: Evaluator, times: int = 1) -> None:
        if times < 1:
            raise SettingError(f"times is {times}; a failed child is asked again at least 1 time")
        self._inner, self._times = evaluator, times
        self._spec = note_wrapper(evaluator.spec, "retried", times=times)
        self._retries = 0
        self.evaluate_bulk = wrap_bulk(evaluator, self._evaluate_bulk)

    @property
    def spec(self) -> EvaluatorSpec:
        """The inner one's, with the number of retries among the wrappers."""
        return self._spec

    @property
    def retries(self) -> int:
        """Attempts so far beyond each child's first."""
        return self._retries

    def evaluate(self, cells: Rows, epochs: float, seed: int) -> Iterator[Evaluation]:
        """Yields each child's last attempt, those that failed after the others; raises as the inner one."""
        failures: dict[str, Evaluation] = {}
        for attempt in range(self._times + 1):
            rows = self._spec.space.parse_many(failures) if attempt else cells
            self._retries += len(rows) if attempt else 0
            with asking(self._inner, rows, epochs, seed) as answers:
                before, failures = failures, {}
                for answer in answers:
                    earlier = before.get(answer.cell)
                    spent = answer.seconds + (earlier.seconds if earlier else 0.0)
                    if answer.status == Status.FAILED and attempt < self._times:
                        failures[answer.cell] = replace(answer, seconds=spent)
                    else:
                        yield replace(answer, seconds=spent, error=_describe(earlier, answer, attempt))
            if not failures:
                return

    def close(self) -> None:
        """Closes the inner one."""
        self._inner.close()

    def _evaluate_bulk(self, inner: BulkEvaluator, cells: Rows, epochs: float, seed: int) -> Answers:
        answers, spent = _ask(inner, cells, epochs, seed)
        if spent is not None:
            failed = np.flatnonzero(answers.status == Status.FAILED)
            raise _cut(spent, answers, int(failed[0]) if len(failed) else len(answers))
        attempts = np.zeros(len(answers), np.intp)  # of each, beyond the first
        reasons = list_errors(answers)  # of each one's last failure
        for _ in range(self._times):
            failed = np.flatnonzero(answers.status == Status.FAILED)
            if len(failed) == 0:
                break
            again, spent = _ask(inner, cells[failed], epochs, seed)
            reached = failed[: len(again)]
            self._retries += len(reached)
            attempts[reached] += 1
            again = replace(again, seconds=again.seconds + answers.seconds[reached])
            answers = put_answers(answers, reached, again)
            reasons = np.where(answers.status == Status.FAILED, list_errors(answers), reasons)
            if spent is not None:
                raise _cut(spent, _describe_all(answers, attempts, reasons), int(failed[len(again)]))
        return _describe_all(answers, attempts, reasons)


def _ask(
    inner: BulkEvaluator, cells: Rows, epochs: float, seed: int
) -> tuple[Answers, BudgetSpentError | None]:
    """Answers for cells, or for the first of them with the error of a budget inside that goes no further."""
    try:
        return inner.evaluate_bulk(cells, epochs, seed), None
    except BudgetSpentError as spent:
        if spent.answers is None:
            raise
        return spent.answers, spent


def _cut(spent: BudgetSpentError, answers: Answers, reach: int) -> BudgetSpentError:
    """The error with answers up to the first child whose last attempt is not known."""
    return BudgetSpentError(str(spent), select_answers(answers, slice(reach)))


def _describe_all(answers: Answers, attempts: Places, reasons: NDArray[np.object_]) -> Answers:
    """The same answers with what went wrong with each child in all its attempts."""
    again = np.flatnonzero(attempts)
    if len(again) == 0:
        return answers
    errors = list_errors(answers).copy()
    failed = answers.status == Status.FAILED
    for place in again.tolist():
        errors[place] = _tell_attempts(int(attempts[place]), bool(failed[place]), reasons[place])
    return replace(answers, errors=errors)


def _describe(earlier: Evaluation | None, answer: Evaluation, attempts: int) -> str:
    """What went wrong with a child, its earlier attempts included."""
    if earlier is None:
        return answer.error
    failed = answer.status == Status.FAILED
    return _tell_attempts(attempts, failed, answer.error if failed else earlier.error)


def _tell_attempts(attempts: int, failed: bool, reason: str) -> str:
    """How often a child that was asked again so many times failed, and of what at last."""
    if failed:
        return f"failed {attempts + 1} times, the last: {reason}"
    return f"answered after it failed {attempts} times, the last: {reason}"
