from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pnas_sim.engine import Budget, run_search
from pnas_sim.errors import BudgetSpentError
from pnas_sim.evaluate import BulkEvaluator, Status
from pnas_sim.function_evaluator import FunctionEvaluator
from pnas_sim.search import RandomSearch
from pnas_sim.space import CellSpace
from pnas_sim.wrappers import Budgeted, Memoized


def test_a_repeat_costs_nothing_and_reaches_nobody(make_scripted: Any, rows: np.ndarray) -> None:
    inner = make_scripted(failing={2: 99}, diverged=(1,))
    memo = Memoized(inner)
    first = {one.cell: one for one in memo.evaluate(rows, 2.0, 0)}
    assert len(inner.asked) == 12 and memo.repeats == 0
    again = {one.cell: one for one in memo.evaluate(rows[::-1], 2.0, 0)}
    assert len(inner.asked) == 12 and memo.repeats == 12
    for text, answer in first.items():
        assert repr(again[text]) == repr(replace(answer, examples=0.0, seconds=0.0))
    assert first[inner.spec.space.format(rows[2])].status == Status.FAILED


@pytest.mark.parametrize("other", [(1.0, 0), (2.0, 1)])
def test_other_epochs_or_seeds_are_other_questions(
    make_scripted: Any, rows: np.ndarray, other: tuple[float, int]
) -> None:
    inner = make_scripted()
    memo = Memoized(inner)
    list(memo.evaluate(rows, 2.0, 0))
    list(memo.evaluate(rows, *other))
    assert len(inner.asked) == 24 and memo.repeats == 0


def test_one_cell_twice_in_one_batch_is_a_repeat(make_bulk: Any, rows: np.ndarray) -> None:
    asked = rows[[0, 1, 0, 0]]
    inner = make_bulk()
    memo = Memoized(inner)
    single = list(memo.evaluate(asked, 2.0, 0))
    assert sorted(one.cell for one in single) == sorted(inner.spec.space.format_many(asked))
    assert sorted(one.seconds for one in single) == [0.0, 0.0, 10.0, 11.0]
    assert len(inner.asked) == 2 and memo.repeats == 2
    fresh = Memoized(make_bulk())
    answers = fresh.evaluate_bulk(asked, 2.0, 0)
    assert answers.seconds.tolist() == [10.0, 11.0, 0.0, 0.0]
    assert answers.examples.tolist() == [100.0, 100.0, 0.0, 0.0]
    assert answers.valid_accuracy.tolist() == [0.5, 0.51, 0.5, 0.5]
    assert fresh.repeats == 2


def test_both_forms_share_one_memory(make_bulk: Any, rows: np.ndarray) -> None:
    inner = make_bulk(failing={2: 99})
    memo = Memoized(inner)
    list(memo.evaluate(rows[:6], 2.0, 0))
    answers = memo.evaluate_bulk(rows, 2.0, 0)
    assert len(inner.asked) == 12 and memo.repeats == 6
    assert answers.seconds.tolist() == [0.0] * 6 + [16.0, 17.0, 18.0, 19.0, 20.0, 21.0]
    single = list(memo.evaluate(rows, 2.0, 0))
    assert len(inner.asked) == 12 and {one.seconds for one in single} == {0.0}
    np.testing.assert_array_equal([one.valid_accuracy for one in single], answers.valid_accuracy)
    assert len(memo.evaluate_bulk(rows[:0], 2.0, 0)) == 0


def test_a_budget_that_ends_inside_leaves_every_answer_with_its_cell(
    make_bulk: Any, rows: np.ndarray
) -> None:
    """Of twelve cells two are known, and three more are paid for; the seventh asked is the first without."""
    inner = make_bulk()
    memo = Memoized(Budgeted(inner, Budget(models=5)))
    memo.evaluate_bulk(rows[[3, 5]], 2.0, 0)
    asked = rows[[3, 0, 0, 5, 1, 2, 4, 3]]
    with pytest.raises(BudgetSpentError, match="5 models is spent and 1 cells") as caught:
        memo.evaluate_bulk(asked, 2.0, 0)
    answers = caught.value.answers
    assert answers is not None
    assert answers.valid_accuracy.tolist() == [0.53, 0.5, 0.5, 0.55, 0.51, 0.52]
    assert answers.seconds.tolist() == [0.0, 10.0, 0.0, 0.0, 11.0, 12.0]
    assert memo.repeats == 3
    again = memo.evaluate_bulk(asked[:6], 2.0, 0)  # what was paid for is remembered
    assert again.valid_accuracy.tolist() == answers.valid_accuracy.tolist()
    assert len(inner.asked) == 5 and not again.seconds.any()


def test_a_memory_may_serve_several_searches_on_one_budget() -> None:
    """The second search meets cells that the first one paid for; each cell keeps its own accuracy."""
    space = CellSpace(max_blocks=1)

    def judge(cells: np.ndarray) -> np.ndarray:
        return 0.3 + (cells @ np.array([64, 32, 8, 1])) / 1000

    memo = Memoized(Budgeted(FunctionEvaluator(judge, space, seconds=1.0), Budget(models=100)))
    for seed in range(4):
        found = run_search(RandomSearch(space, seed=seed), memo, budget=Budget(models=60), batch=30)
        models = found.evaluations
        np.testing.assert_array_equal(models.figures["valid_accuracy"], judge(models.cells))
    assert found.stopped == "budget" and 0 < found.models_evaluated < 60


def test_what_is_given_up_is_asked_again(make_scripted: Any, rows: np.ndarray) -> None:
    inner = make_scripted()
    memo = Memoized(inner)
    answers = memo.evaluate(rows, 2.0, 0)
    next(answers)
    answers.close()
    assert inner.ended == 1
    assert len(list(memo.evaluate(rows, 2.0, 0))) == 12
    assert len(inner.asked) == 12 and memo.repeats == 1


def test_the_record_names_the_wrapper_and_close_reaches_inside(make_scripted: Any, make_bulk: Any) -> None:
    inner = make_scripted()
    memo = Memoized(inner)
    assert memo.spec.settings["wrappers"] == [{"name": "memoized"}]
    assert not isinstance(memo, BulkEvaluator) and isinstance(Memoized(make_bulk()), BulkEvaluator)
    memo.close()
    assert inner.closed == 1
