from __future__ import annotations

from math import isnan, nan
from typing import Any

import numpy as np
import pytest

from pnas_sim.engine import Budget, run_search
from pnas_sim.errors import BackendError, CellError, SettingError
from pnas_sim.evaluate import BulkEvaluator, Source, Status
from pnas_sim.function_evaluator import FunctionEvaluator
from pnas_sim.search import RandomSearch
from pnas_sim.space import Cell, CellSpace

SPACE = CellSpace(max_blocks=3)
ROWS = np.concatenate([SPACE.sample(4, np.random.default_rng(b), blocks=b) for b in (1, 2, 3)])


def judge(cells: np.ndarray) -> np.ndarray:
    return 0.5 + 0.02 * (cells == 0).sum(axis=1)


def judge_cell(cell: Cell) -> float:
    return 0.5 + 0.01 * cell.text.count("sep5") + 0.1 * (cell.blocks[0].op1 == "id")


def test_rows_are_answered_at_once_and_one_by_one_alike() -> None:
    evaluator = FunctionEvaluator(judge, SPACE, seconds=2.0, train_images=100, epochs=3)
    assert isinstance(evaluator, BulkEvaluator)
    answers = evaluator.evaluate_bulk(ROWS, 3, 7)
    np.testing.assert_array_equal(answers.valid_accuracy, judge(ROWS))
    np.testing.assert_array_equal(answers.expected_valid_accuracy, judge(ROWS))
    assert (answers.source, answers.epochs, answers.seed) == (Source.PREDICTED, 3.0, 7)
    assert answers.examples.tolist() == [300.0] * len(ROWS)
    assert answers.seconds.tolist() == [2.0] * len(ROWS)
    assert answers.parameters.tolist() == [-1] * len(ROWS)
    single = list(evaluator.evaluate(ROWS, 3, 7))
    assert [one.cell for one in single] == SPACE.format_many(ROWS)
    assert [one.valid_accuracy for one in single] == answers.valid_accuracy.tolist()
    assert {(one.seed, one.epochs, one.seconds, one.status, one.error) for one in single} == {
        (7, 3.0, 2.0, Status.OK, "")
    }


def test_a_function_of_one_cell_is_answered_as_it_goes() -> None:
    asked: list[str] = []

    def train(cell: Cell) -> float:
        asked.append(cell.text)
        return judge_cell(cell)

    evaluator = FunctionEvaluator(train, SPACE, takes="cell", name="mine", source=Source.TRAINED)
    assert not isinstance(evaluator, BulkEvaluator)
    answers = evaluator.evaluate(ROWS, 1.0, 0)
    assert asked == []
    first = next(answers)
    assert asked == [first.cell] == SPACE.format_many(ROWS[:1])
    rest = list(answers)
    assert [one.valid_accuracy for one in (first, *rest)] == [judge_cell(SPACE.cell(row)) for row in ROWS]
    assert first.source == Source.TRAINED


def fail_on_two_blocks(cells: np.ndarray) -> np.ndarray:
    if ((cells != 255).sum(axis=1) == 8).any():
        raise ValueError("two\nblocks")
    return judge(cells)


def fail_on_two_blocks_of_a_cell(cell: Cell) -> float:
    if len(cell.blocks) == 2:
        raise ValueError("two\nblocks")
    return judge_cell(cell)


@pytest.mark.parametrize(
    ("function", "takes"), [(fail_on_two_blocks, "rows"), (fail_on_two_blocks_of_a_cell, "cell")]
)
def test_what_the_function_raises_fails_that_cell_only(function: Any, takes: Any) -> None:
    answers = list(FunctionEvaluator(function, SPACE, takes=takes).evaluate(ROWS, 1.0, 0))
    for blocks, answer in zip(SPACE.block_counts(ROWS), answers, strict=True):
        if blocks == 2:
            assert (answer.status, answer.error) == (Status.FAILED, "ValueError: two blocks")
            assert isnan(answer.valid_accuracy) and isnan(answer.expected_valid_accuracy)
        else:
            assert (answer.status, answer.error) == (Status.OK, "")
            assert answer.valid_accuracy >= 0.5


def test_the_array_form_fails_the_same_cells() -> None:
    answers = FunctionEvaluator(fail_on_two_blocks, SPACE).evaluate_bulk(ROWS, 1.0, 0)
    np.testing.assert_array_equal(answers.status == Status.FAILED, SPACE.block_counts(ROWS) == 2)


def test_nan_is_diverged_and_told_as_chance() -> None:
    evaluator = FunctionEvaluator(lambda cells: np.full(len(cells), nan), SPACE, chance=0.25)
    (answer,) = evaluator.evaluate(ROWS[:1], 1.0, 0)
    assert (answer.status, answer.valid_accuracy) == (Status.DIVERGED, 0.25)
    assert answer.error == "the function returned nan"


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (np.zeros(3), r"returned an array of shape \(3,\); return \(12,\) for 12 cells"),
        (np.zeros((12, 1)), r"shape \(12, 1\)"),
        (0.5, r"shape \(\)"),
        (None, "returned NoneType that are no numbers"),
        ([None] * 12, "returned list that are no numbers"),
        ([[1], [1, 2]], "returned list that are no numbers"),
        (["a"] * 12, "no numbers"),
        (np.full(12, 91.5), r"returned 91.5 for .*; accuracies lie in \[0, 1\]"),
        (np.full(12, -0.1), "returned -0.1"),
        (np.full(12, np.inf), "returned inf"),
    ],
)
def test_what_is_no_accuracy_is_refused(returned: Any, message: str) -> None:
    evaluator = FunctionEvaluator(lambda cells: returned, SPACE, name="mine")
    with pytest.raises(BackendError, match=message):
        list(evaluator.evaluate(ROWS, 1.0, 0))


@pytest.mark.parametrize("returned", [None, "high", [0.5], 1.5])
def test_a_cell_needs_one_number(returned: Any) -> None:
    with pytest.raises(BackendError, match="returned"):
        list(FunctionEvaluator(lambda cell: returned, SPACE, takes="cell").evaluate(ROWS, 1.0, 0))


def test_lists_and_integers_will_do() -> None:
    evaluator = FunctionEvaluator(lambda cells: [1] * len(cells), SPACE)
    assert [one.valid_accuracy for one in evaluator.evaluate(ROWS, 1.0, 0)] == [1.0] * len(ROWS)


def test_epochs_reach_a_function_that_declares_fidelities() -> None:
    def learn(cells: np.ndarray, epochs: float) -> np.ndarray:
        return judge(cells) * epochs / 4

    evaluator = FunctionEvaluator(learn, SPACE, epochs=4, fidelities=(1, 2, 4), seconds=8.0)
    assert evaluator.spec.fidelities == (1.0, 2.0, 4.0)
    (answer,) = evaluator.evaluate(ROWS[:1], 2, 0)
    assert (answer.valid_accuracy, answer.seconds) == (judge(ROWS[:1])[0] / 2, 4.0)
    with pytest.raises(BackendError, match="3 epochs asked for; backend function has 1, 2, 4; choose one"):
        evaluator.evaluate(ROWS, 3, 0)
    anything = FunctionEvaluator(learn, SPACE, epochs=4, fidelities=())
    assert [one.epochs for one in anything.evaluate(ROWS[:1], 0.3, 0)] == [0.3]


def test_bad_requests_are_refused_at_the_call() -> None:
    evaluator = FunctionEvaluator(judge, SPACE)
    outside = ROWS.copy()
    outside[0, 2] = 99
    with pytest.raises(CellError, match="this space takes"):
        evaluator.evaluate(ROWS[:, :4], 1.0, 0)
    with pytest.raises(CellError, match="first operation is 99"):
        evaluator.evaluate(outside, 1.0, 0)
    with pytest.raises(BackendError, match="2 epochs asked for; backend function has 1"):
        evaluator.evaluate(ROWS, 2.0, 0)
    with pytest.raises(SettingError, match="epochs is nan; it must be a positive number"):
        evaluator.evaluate(ROWS, nan, 0)
    with pytest.raises(SettingError, match="evaluation seed is -1"):
        evaluator.evaluate(ROWS, 1.0, -1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"takes": "text"}, "takes is 'text'"),
        ({"epochs": 0}, "epochs is 0; it must be a positive number"),
        ({"fidelities": (-1.0, 1.0)}, "epochs is -1.0"),
        ({"fidelities": (2.0, 1.0)}, "list them ascending"),
        ({"fidelities": (2.0, 3.0)}, r"epochs \(1\) among them"),
        ({"seconds": -1.0}, "seconds is -1.0"),
        ({"chance": 10}, "chance is 10"),
    ],
)
def test_bad_declarations_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        FunctionEvaluator(judge, SPACE, **options)


def test_costs_are_told() -> None:
    evaluator = FunctionEvaluator(
        judge, SPACE, costs=lambda cells: (cells[:, 0], np.full(len(cells), 9)), settings={"of": "mine"}
    )
    answers = evaluator.evaluate_bulk(ROWS, 1.0, 0)
    assert answers.parameters.tolist() == ROWS[:, 0].tolist()
    assert answers.multiply_adds.tolist() == [9] * len(ROWS)
    assert evaluator.spec.settings == {"of": "mine"}
    broken = FunctionEvaluator(judge, SPACE, costs=lambda cells: (np.zeros(2), np.zeros(2)))
    with pytest.raises(BackendError, match=r"shapes \(2,\) and \(2,\); return \(12,\) of both"):
        broken.evaluate_bulk(ROWS, 1.0, 0)


def test_seconds_are_measured_where_none_are_declared() -> None:
    def work(cell: Cell) -> float:
        return float(np.sort(np.random.default_rng(0).random(300_000))[0])

    answers = list(FunctionEvaluator(work, SPACE, takes="cell").evaluate(ROWS[:2], 1.0, 0))
    assert all(0 < answer.seconds < 60 for answer in answers)


def test_the_function_cannot_change_what_was_asked() -> None:
    def spoil(cells: np.ndarray) -> np.ndarray:
        cells[:] = 0
        return np.zeros(len(cells))

    asked = ROWS.copy()
    FunctionEvaluator(spoil, SPACE).evaluate_bulk(asked, 1.0, 0)
    np.testing.assert_array_equal(asked, ROWS)


@pytest.mark.parametrize("takes", ["rows", "cell"])
def test_ten_blocks_are_searched(takes: Any) -> None:
    space = CellSpace(max_blocks=10)
    function = judge if takes == "rows" else judge_cell
    evaluator = FunctionEvaluator(function, space, takes=takes, seconds=1.0)
    result = run_search(RandomSearch(space, seed=1), evaluator, budget=Budget(models=40), batch=16)
    assert result.models_evaluated == 40
    assert {len(Cell.parse(one.cell, space).blocks) for one in result.evaluations} == {10}
    again = run_search(RandomSearch(space, seed=1), evaluator, budget=Budget(models=40), batch=16)
    assert list(map(repr, again.evaluations)) == list(map(repr, result.evaluations))
