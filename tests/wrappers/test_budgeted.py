from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pnas_sim.engine import Budget, run_search
from pnas_sim.errors import BudgetSpentError, WorkError
from pnas_sim.evaluate import BulkEvaluator, Source, Status
from pnas_sim.function_evaluator import FunctionEvaluator
from pnas_sim.search import RandomSearch
from pnas_sim.space import CellSpace
from pnas_sim.wrappers import Budgeted, Memoized, Noisy, Retried, Spending


def drain(evaluator: Any, rows: np.ndarray) -> list[str]:
    """The cells answered, one by one, before the budget is spent."""
    answered = []
    with pytest.raises(BudgetSpentError):
        answered.extend(answer.cell for answer in evaluator.evaluate(rows, 2.0, 0))
    return answered


# How many of twelve cells are answered, of 100 examples and 10, 11, 12, ... seconds each, and what is said.
BUDGETS = [
    (Budget(models=5), 5, "the budget of 5 models is spent and 7 cells are left unanswered"),
    (Budget(examples=350), 3, "the budget of 350 examples is spent and 9 cells"),
    (Budget(models=20, examples=500), 5, "the budget of 500 examples is spent and 7 cells"),
    (Budget(examples=99), 0, "the budget of 99 examples is spent and 12 cells"),
]


@pytest.mark.parametrize(("budget", "count", "message"), BUDGETS)
def test_the_first_cells_are_answered(
    make_bulk: Any, rows: np.ndarray, budget: Budget, count: int, message: str
) -> None:
    inner = make_bulk()
    budgeted = Budgeted(inner, budget)
    assert sorted(drain(budgeted, rows)) == sorted(inner.spec.space.format_many(rows[:count]))
    assert len(inner.asked) == count
    assert budgeted.spent == Spending(count, 100.0 * count, sum(range(10, 10 + count)))
    bulk = Budgeted(make_bulk(), budget)
    with pytest.raises(BudgetSpentError, match=message) as caught:
        bulk.evaluate_bulk(rows, 2.0, 0)
    assert caught.value.answers is not None
    assert caught.value.answers.seconds.tolist() == list(range(10, 10 + count))
    assert bulk.spent == budgeted.spent


def test_the_child_that_spends_the_last_second_is_the_last(make_bulk: Any, rows: np.ndarray) -> None:
    inner = make_bulk()
    budgeted = Budgeted(inner, Budget(seconds=41))
    assert drain(budgeted, rows) == inner.spec.space.format_many(rows)[:9:-1]  # 21 + 20 seconds
    assert (len(inner.asked), inner.ended) == (2, 1)
    bulk = Budgeted(make_bulk(), Budget(seconds=33))
    with pytest.raises(BudgetSpentError, match="33 seconds is spent and 9 cells") as caught:
        bulk.evaluate_bulk(rows, 2.0, 0)
    assert caught.value.answers is not None
    assert caught.value.answers.seconds.tolist() == [10.0, 11.0, 12.0]
    assert bulk.spent == Spending(3, 300.0, 33.0)


@pytest.mark.parametrize("budget", [Budget(models=12), Budget(examples=1200), Budget(seconds=186), Budget()])
def test_a_budget_that_just_reaches_is_no_error_before_the_next(
    make_bulk: Any, rows: np.ndarray, budget: Budget
) -> None:
    single, bulk = Budgeted(make_bulk(), budget), Budgeted(make_bulk(), budget)
    assert len(list(single.evaluate(rows, 2.0, 0))) == len(bulk.evaluate_bulk(rows, 2.0, 0)) == 12
    for budgeted in (single, bulk):
        assert list(budgeted.evaluate(rows[:0], 2.0, 0)) == []
        assert budgeted.spent == Spending(12, 1200.0, 186.0)
        if budget != Budget():
            with pytest.raises(BudgetSpentError):
                list(budgeted.evaluate(rows[:1], 2.0, 0))


def test_failed_children_count(make_scripted: Any, rows: np.ndarray) -> None:
    budgeted = Budgeted(make_scripted(failing=dict.fromkeys(range(12), 99)), Budget(models=5))
    assert len(drain(budgeted, rows)) == 5


def test_the_record_names_the_wrapper_and_close_reaches_inside(make_scripted: Any, make_bulk: Any) -> None:
    inner = make_scripted()
    budgeted = Budgeted(inner, Budget(models=5, seconds=7.5))
    assert budgeted.spec.settings["wrappers"] == [{"name": "budgeted", "models": 5, "seconds": 7.5}]
    assert not isinstance(budgeted, BulkEvaluator)
    assert isinstance(Budgeted(make_bulk(), Budget(models=1)), BulkEvaluator)
    budgeted.close()
    assert inner.closed == 1
    assert issubclass(BudgetSpentError, WorkError)


class Held:
    """An evaluator whose answers somebody else holds, too: they end only if they are closed."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.spec, self.given = inner, inner.spec, list[Any]()

    def evaluate(self, cells: np.ndarray, epochs: float, seed: int) -> Any:
        self.given.append(self.inner.evaluate(cells, epochs, seed))
        return self.given[-1]

    def close(self) -> None:
        self.inner.close()


@pytest.mark.parametrize("name", ["noisy", "retried", "budgeted", "memoized"])
def test_giving_up_closes_what_is_in_flight(make_scripted: Any, rows: np.ndarray, name: str) -> None:
    held = Held(make_scripted())
    wrapped = {
        "noisy": lambda: Noisy(held, 0.02),
        "retried": lambda: Retried(held),
        "budgeted": lambda: Budgeted(held, Budget(models=9)),
        "memoized": lambda: Memoized(held),
    }[name]()
    answers = wrapped.evaluate(rows, 2.0, 0)
    next(answers)
    assert held.inner.ended == 0
    answers.close()
    assert held.inner.ended == 1


def judge(cells: np.ndarray) -> np.ndarray:
    return 0.5 + 0.01 * (cells == 0).sum(axis=1)


@pytest.mark.parametrize("takes", ["rows", "cell"])
@pytest.mark.parametrize("budget", [Budget(models=37), Budget(examples=3_750.0), Budget(seconds=73.5)])
def test_a_search_ends_with_the_budget_of_its_evaluator(takes: Any, budget: Budget) -> None:
    """As with the engine's own budget, to the last model."""
    space = CellSpace(max_blocks=2)
    function = judge if takes == "rows" else (lambda cell: float(judge(cell.row[None])[0]))
    inner = FunctionEvaluator(function, space, takes=takes, seconds=2.0, train_images=100)

    def search(evaluator: Any, own: Budget) -> Any:
        return run_search(RandomSearch(space, seed=3), evaluator, budget=own, batch=16)

    expected = search(inner, budget)
    found = search(Budgeted(inner, budget), Budget())
    assert expected.models_evaluated == found.models_evaluated == 37
    assert list(map(repr, found.evaluations)) == list(map(repr, expected.evaluations))
    assert (found.stopped, found.examples, found.child_seconds) == ("budget", 3700.0, 74.0)


def test_a_search_begun_with_nothing_left_evaluates_nothing() -> None:
    space = CellSpace(max_blocks=2)
    budgeted = Budgeted(FunctionEvaluator(judge, space), Budget(models=1))
    list(budgeted.evaluate(space.initial()[:1], 1.0, 0))
    result = run_search(RandomSearch(space), budgeted, budget=Budget())
    assert (result.models_evaluated, result.stopped) == (0, "budget")


def test_wrappers_stack(make_bulk: Any, rows: np.ndarray) -> None:
    inner = make_bulk(failing={0: 1})
    stack = Memoized(Budgeted(Retried(Noisy(inner, 0.01), 1), Budget(models=12)))
    assert isinstance(stack, BulkEvaluator)
    names = [wrapper["name"] for wrapper in stack.spec.settings["wrappers"]]
    assert names == ["noisy", "retried", "budgeted", "memoized"]
    first = stack.evaluate_bulk(rows, 2.0, 0)
    again = stack.evaluate_bulk(rows, 2.0, 0)
    np.testing.assert_array_equal(first.valid_accuracy, again.valid_accuracy)
    assert (first.seconds.sum(), again.seconds.sum()) == (196.0, 0.0)
    stack.close()
    assert inner.closed == 1


def test_a_search_on_wrapped_evaluators_is_the_same_in_both_forms() -> None:
    space = CellSpace(max_blocks=3)

    def flaky(cells: np.ndarray) -> np.ndarray:
        if (cells[:, 2] == 3).any():
            raise MemoryError("too large")
        return judge(cells)

    results = []
    for takes in ("rows", "cell"):
        function = flaky if takes == "rows" else (lambda cell: float(flaky(cell.row[None])[0]))
        inner = FunctionEvaluator(function, space, takes=takes, seconds=2.0, source=Source.PREDICTED)
        stack = Memoized(Budgeted(Retried(Noisy(inner, 0.01), 2), Budget(seconds=200)))
        assert isinstance(stack, BulkEvaluator) == (takes == "rows")
        results.append(run_search(RandomSearch(space, seed=4), stack, budget=Budget(), batch=20))
    one, other = (list(map(repr, result.evaluations)) for result in results)
    assert one == other
    assert results[0].failed == results[1].failed > 0
    assert results[0].child_seconds == results[1].child_seconds
    told = {answer.error for answer in results[1].evaluations if answer.status == Status.FAILED}
    assert told == {"failed 3 times, the last: MemoryError: too large"}
