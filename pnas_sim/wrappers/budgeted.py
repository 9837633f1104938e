"""A budget around an evaluator."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from pnas_sim.answers import select_answers
from pnas_sim.budget import Budget
from pnas_sim.errors import BudgetSpentError
from pnas_sim.evaluate import Answers, BulkEvaluator, Evaluation, Evaluator, EvaluatorSpec
from pnas_sim.space.arrays import Floats, Rows
from pnas_sim.wrappers.inside import asking, note_wrapper, wrap_bulk


@dataclass(frozen=True, slots=True)
class Spending:
    """What was spent of a budget, in its units; failed children count."""

    models: int = 0
    examples: float = 0.0
    seconds: float = 0.0


class Budgeted:
    """Stops when a budget is spent: then `BudgetSpentError` is raised in place of the answers still missing.

    As far as the budget reaches, the first of the cells are answered: no model is begun beyond `models` or
    `examples`, and the child that spends the last of the `seconds` is the last one waited for. One by one,
    those answers are yielded before the error; as arrays, the error brings them (`answers`). `run_search`
    takes either as the end of its budget; a loop of one's own ends with `except BudgetSpentError`.

    Every answer counts as a model, repeats too: put `Memoized` around, not inside. What a run spent before it
    was resumed is not known here; for runs with a log use the budget of `run_search`.

    Args:
        evaluator: whose answers cost something.
        budget: the limits; one without any never stops.
    """

    def __init__(self, evaluator: Evaluator, budget: Budget) -> None:
        self._inner, self._budget = evaluator, budget
        limits = {name: value for name, value in asdict(budget).items() if value is not None}
        self._spec = note_wrapper(evaluator.spec, "budgeted", **limits)
        self._spent = Spending()
        self.evaluate_bulk = wrap_bulk(evaluator, self._evaluate_bulk)

    @property
    def spec(self) -> EvaluatorSpec:
        """The inner one's, with the budget among the wrappers."""
        return self._spec

    @property
    def spent(self) -> Spending:
        """What was spent so far."""
        return self._spent

    def evaluate(self, cells: Rows, epochs: float, seed: int) -> Iterator[Evaluation]:
        """Yields the inner evaluator's answers as far as the budget reaches; raises as it does.

        Raises:
            BudgetSpentError: cells are left unanswered.
        """
        allowed = cells[: self._find_room(len(cells), epochs)]
        answered = 0
        if len(allowed):
            with asking(self._inner, allowed, epochs, seed) as answers:
                for answer in answers:
                    self._add(1, answer.examples, answer.seconds)
                    answered += 1
                    yield answer
                    if self._left("seconds") <= 0:
                        break
        if answered < len(cells):
            raise BudgetSpentError(self._explain(len(cells) - answered))

    def close(self) -> None:
        """Closes the inner one."""
        self._inner.close()

    def _evaluate_bulk(self, inner: BulkEvaluator, cells: Rows, epochs: float, seed: int) -> Answers:
        allowed = cells[: self._find_room(len(cells), epochs)]
        answers = inner.evaluate_bulk(allowed, epochs, seed)
        late = np.flatnonzero(_add_up(self._spent.seconds, answers.seconds) >= self._limit("seconds"))
        if len(late):
            answers = select_answers(answers, slice(0, int(late[0]) + 1))
        self._spent = Spending(
            self._spent.models + len(answers),
            float(_add_up(self._spent.examples, answers.examples)[-1:].sum()),
            float(_add_up(self._spent.seconds, answers.seconds)[-1:].sum()),
        )
        if len(answers) < len(cells):
            raise BudgetSpentError(self._explain(len(cells) - len(answers)), answers)
        return answers

    def _find_room(self, asked: int, epochs: float) -> int:
        """How many of the cells may be begun."""
        each = epochs * self._spec.train_images
        by_examples = self._left("examples") // each if each > 0 else math.inf
        room = min(asked, self._left("models"), by_examples)
        return max(0, int(room)) if min(self._left("seconds"), self._left("examples")) > 0 else 0

    def _limit(self, name: str) -> float:
        limit = getattr(self._budget, name)
        return math.inf if limit is None else float(limit)

    def _left(self, name: str) -> float:
        return self._limit(name) - float(getattr(self._spent, name))

    def _add(self, models: int, examples: float, seconds: float) -> None:
        spent = self._spent
        self._spent = Spending(spent.models + models, spent.examples + examples, spent.seconds + seconds)

    def _explain(self, missing: int) -> str:
        shares = {name: self._left(name) / self._limit(name) for name in ("models", "examples", "seconds")}
        shares = {name: share for name, share in shares.items() if not math.isnan(share)}
        name = min(shares, key=lambda name: shares[name])
        return (
            f"the budget of {self._limit(name):g} {name} is spent and {missing} cells are left unanswered; "
            "give a larger one"
        )


def _add_up(start: float, values: Floats) -> Floats:
    """Running sums from `start` on, `float64[n]`: the same as when values are added one by one."""
    return np.cumsum(np.concatenate([[start], values]))[1:]
