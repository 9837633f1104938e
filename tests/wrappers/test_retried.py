from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pnas_sim.budget import Budget
from pnas_sim.errors import BudgetSpentError, SettingError
from pnas_sim.evaluate import BulkEvaluator, Status
from pnas_sim.wrappers import Budgeted, Retried


def test_failed_children_are_asked_again_with_the_same_seed(make_scripted: Any, rows: np.ndarray) -> None:
    inner = make_scripted(failing={4: 1, 7: 2})
    texts = inner.spec.space.format_many(rows)
    retried = Retried(inner, 2)
    answers = {answer.cell: answer for answer in retried.evaluate(rows, 2.0, 5)}
    assert len(answers) == 12 and {one.status for one in answers.values()} == {Status.OK}
    assert answers[texts[4]].error == "answered after it failed 1 times, the last: crash 1"
    assert answers[texts[7]].error == "answered after it failed 2 times, the last: crash 2"
    assert answers[texts[4]].valid_accuracy == 0.54
    assert answers[texts[4]].seconds == 2 * 14.0 and answers[texts[7]].seconds == 3 * 17.0
    assert answers[texts[4]].examples == 100
    assert retried.retries == 3
    assert inner.asked.count((texts[4], 2.0, 5)) == 2 and inner.asked.count((texts[7], 2.0, 5)) == 3
    assert len(inner.asked) == 15


def test_a_child_that_fails_for_good_says_how_often(make_scripted: Any, rows: np.ndarray) -> None:
    inner = make_scripted(failing={4: 99})
    retried = Retried(inner, 2)
    failed = [one for one in retried.evaluate(rows, 2.0, 0) if one.status == Status.FAILED]
    assert [one.error for one in failed] == ["failed 3 times, the last: crash 3"]
    assert failed[0].seconds == 3 * 14.0
    assert len(inner.asked) == 14


def test_answers_come_as_they_are_known(make_scripted: Any, rows: np.ndarray) -> None:
    inner = make_scripted(failing={11: 1})  # asked first
    answers = Retried(inner).evaluate(rows, 2.0, 0)
    assert next(answers).cell == inner.spec.space.format(rows[10])
    assert len(inner.asked) == 2
    answers.close()
    assert inner.ended == 1


def test_diverged_children_are_never_asked_again(make_bulk: Any, rows: np.ndarray) -> None:
    inner = make_bulk(diverged=(3,))
    assert len(list(Retried(inner, 5).evaluate(rows, 2.0, 0))) == 12
    assert len(Retried(inner, 5).evaluate_bulk(rows, 2.0, 0)) == 12
    assert len(inner.asked) == 24


def test_the_array_form_is_the_same(make_bulk: Any, rows: np.ndarray) -> None:
    script = {"failing": {0: 1, 4: 2, 9: 99}}
    single = {one.cell: one for one in Retried(make_bulk(**script), 2).evaluate(rows, 2.0, 0)}
    retried = Retried(make_bulk(**script), 2)
    answers = retried.evaluate_bulk(rows, 2.0, 0)
    for place, text in enumerate(retried.spec.space.format_many(rows)):
        assert answers.status[place] == single[text].status
        assert answers.seconds[place] == single[text].seconds
        assert answers.errors is not None and answers.errors[place] == single[text].error
        np.testing.assert_equal(answers.valid_accuracy[place], single[text].valid_accuracy)
    assert retried.retries == 1 + 2 + 2


@pytest.mark.parametrize(
    ("models", "reach"),
    [
        (5, 2),  # too few for all; the third failed, and there is nothing left to try it again
        (12, 2),  # nothing left for another attempt
        (13, 7),  # enough for the third, not for the eighth
        (14, 12),
    ],
)
def test_a_budget_inside_leaves_what_it_does_not_reach_for_again_unanswered(
    make_bulk: Any, rows: np.ndarray, models: int, reach: int
) -> None:
    """The answers that the error brings are of the first cells, whatever was tried again."""
    script = {"failing": {2: 1, 7: 1}}
    whole = Retried(make_bulk(**script)).evaluate_bulk(rows, 2.0, 0)
    retried = Retried(Budgeted(make_bulk(**script), Budget(models=models)))
    if reach == 12:
        found: Any = retried.evaluate_bulk(rows, 2.0, 0)
    else:
        with pytest.raises(BudgetSpentError) as caught:
            retried.evaluate_bulk(rows, 2.0, 0)
        found = caught.value.answers
    assert found is not None
    assert found.valid_accuracy.tolist() == whole.valid_accuracy[:reach].tolist()
    assert found.seconds.tolist() == whole.seconds[:reach].tolist()


def test_the_record_names_the_wrapper_and_close_reaches_inside(make_scripted: Any, make_bulk: Any) -> None:
    inner = make_scripted()
    retried = Retried(inner, 3)
    assert retried.spec.settings["wrappers"] == [{"name": "retried", "times": 3}]
    assert not isinstance(retried, BulkEvaluator) and isinstance(Retried(make_bulk()), BulkEvaluator)
    retried.close()
    assert inner.closed == 1
    with pytest.raises(SettingError, match="times is 0"):
        Retried(inner, 0)
