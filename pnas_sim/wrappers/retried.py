"""More attempts for children that failed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from pnas_sim.answers import put_answers
from pnas_sim.errors import SettingError
from pnas_sim.evaluate import Answers, BulkEvaluator, Evaluation, Evaluator, EvaluatorSpec, Rows, Status
from pnas_sim.wrappers.inside import asking, note_wrapper, wrap_bulk


class Retried:
    """Asks children that failed again, with the same seed; never those that diverged, which is their answer.

    The last attempt counts. Its `seconds` hold those of the attempts before it, and its `error` says how
    often the child failed and of what, also where it did well in the end.

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
                        error = _tell_attempts(earlier, answer, attempt)
                        yield replace(answer, seconds=spent, error=error)
            if not failures:
                return

    def close(self) -> None:
        """Closes the inner one."""
        self._inner.close()

    def _evaluate_bulk(self, inner: BulkEvaluator, cells: Rows, epochs: float, seed: int) -> Answers:
        answers = inner.evaluate_bulk(cells, epochs, seed)
        for _ in range(self._times):
            failed = np.flatnonzero(answers.status == Status.FAILED)
            if len(failed) == 0:
                break
            self._retries += len(failed)
            again = inner.evaluate_bulk(cells[failed], epochs, seed)
            again = replace(again, seconds=again.seconds + answers.seconds[failed])
            answers = put_answers(answers, failed, again)
        return answers


def _tell_attempts(earlier: Evaluation | None, answer: Evaluation, attempt: int) -> str:
    """What went wrong with a child, its earlier attempts included."""
    if earlier is None:
        return answer.error
    if answer.status == Status.FAILED:
        return f"failed {attempt + 1} times, the last: {answer.error}"
    return f"answered after it failed {attempt} times, the last: {earlier.error}"
