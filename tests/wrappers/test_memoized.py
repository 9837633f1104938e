from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pnas_sim.evaluate import BulkEvaluator, Status
from pnas_sim.wrappers import Memoized


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
