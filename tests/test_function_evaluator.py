from __future__ import annotations

import pickle
from math import isnan, nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pnas_sim.engine import Budget, run_search
from pnas_sim.errors import BackendError, CellError, SettingError
from pnas_sim.evaluate import BulkEvaluator, Source, Status
from pnas_sim.function_evaluator import FunctionEvaluator
from pnas_sim.runlog import RunLog
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


def test_trained_accuracies_are_no_expected_ones() -> None:
    (trained,) = FunctionEvaluator(judge_cell, SPACE, takes="cell").evaluate(ROWS[:1], 1.0, 0)
    assert trained.source == Source.TRAINED
    assert isnan(trained.expected_valid_accuracy)
    (guess,) = FunctionEvaluator(judge_cell, SPACE, takes="cell", source=Source.PREDICTED).evaluate(
        ROWS[:1], 1.0, 0
    )
    assert guess.expected_valid_accuracy == guess.valid_accuracy
    measured = FunctionEvaluator(judge, SPACE, source=Source.MEASURED).evaluate_bulk(ROWS, 1.0, 0)
    assert np.isnan(measured.expected_valid_accuracy).all()


def test_the_seed_reaches_a_function_that_takes_it() -> None:
    def draw(cells: np.ndarray, seed: int) -> np.ndarray:
        return judge(cells) + 0.001 * seed

    def train(cell: Cell, epochs: float, seed: int) -> float:
        return 0.1 * epochs + 0.01 * seed

    drawn = FunctionEvaluator(draw, SPACE, takes_seed=True)
    np.testing.assert_array_equal(drawn.evaluate_bulk(ROWS, 1.0, 7).valid_accuracy, judge(ROWS) + 0.007)
    assert np.isnan(drawn.evaluate_bulk(ROWS, 1.0, 7).expected_valid_accuracy).all()
    trained = FunctionEvaluator(train, SPACE, takes="cell", takes_seed=True, epochs=2, fidelities=(1, 2))
    found = [next(trained.evaluate(ROWS[:1], 2, seed)) for seed in (0, 3)]
    assert [(one.valid_accuracy, one.seed) for one in found] == [(0.2, 0), (pytest.approx(0.23), 3)]


def test_a_function_of_a_cell_tells_more_in_a_mapping() -> None:
    def train(cell: Cell) -> dict[str, Any]:
        few = {"valid_accuracy": np.float32(0.5), "test_accuracy": 0.4}
        whole = {**few, "expected_valid_accuracy": 0.45, "examples": 7, "seconds": 90.5}
        return whole if len(cell.blocks) == 1 else few

    evaluator = FunctionEvaluator(train, SPACE, takes="cell", train_images=100, seconds=2.0)
    first, *_, last = evaluator.evaluate(ROWS, 1.0, 0)
    assert (first.valid_accuracy, first.test_accuracy, first.expected_valid_accuracy) == (0.5, 0.4, 0.45)
    assert (first.examples, first.seconds, first.status, first.error) == (7.0, 90.5, Status.OK, "")
    assert (last.test_accuracy, last.examples, last.seconds) == (0.4, 100.0, 2.0)
    assert isnan(last.expected_valid_accuracy)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ({"test_accuracy": 0.5}, "a mapping with test_accuracy; give valid_accuracy"),
        ({}, "a mapping with nothing"),
        (
            {"valid_accuracy": 0.5, "loss": 0.1},
            "a mapping with valid_accuracy, loss; give valid_accuracy, and",
        ),
        ({"valid_accuracy": 50.0}, "returned 50 for "),
        ({"valid_accuracy": 0.5, "test_accuracy": 51.0}, "returned 51 for "),
        ({"valid_accuracy": 0.5, "seconds": -1.0}, "returned -1 for .*; examples and seconds are at least 0"),
        ({"valid_accuracy": 0.5, "seconds": "long"}, "returned str that are no numbers"),
    ],
)
def test_mappings_of_other_things_are_refused(returned: Any, message: str) -> None:
    evaluator = FunctionEvaluator(lambda cell: returned, SPACE, takes="cell")
    with pytest.raises(BackendError, match=message):
        list(evaluator.evaluate(ROWS, 1.0, 0))


@pytest.mark.parametrize(("function", "takes"), [(judge_cell, "rows"), (judge, "cell")])
def test_a_function_that_raises_for_all_of_the_first_cells_is_broken(
    function: Any, takes: Any, tmp_path: Path
) -> None:
    """`takes` was forgotten: nothing is logged, and the word is what the function said."""
    evaluator = FunctionEvaluator(function, SPACE, takes=takes, name="mine")
    told = "function mine raised for each of the first 8 cells: .*Error: .*mend it"
    with RunLog(tmp_path / "log") as log, pytest.raises(BackendError, match=told) as refused:
        run_search(RandomSearch(SPACE), evaluator, budget=20, log=log, batch=8)
    assert isinstance(refused.value.__cause__, AttributeError | TypeError)
    with RunLog(tmp_path / "log") as log:
        assert log.read_evaluations() == {}
        assert run_search(
            RandomSearch(SPACE), FunctionEvaluator(judge, SPACE, name="mine"), budget=20, log=log
        )


def test_failures_wait_for_the_first_answer_and_are_told_then() -> None:
    asked: list[int] = []

    def train(cell: Cell) -> float:
        asked.append(len(cell.blocks))
        if len(cell.blocks) < 3:
            raise MemoryError("too small")
        return 0.5

    evaluator = FunctionEvaluator(train, SPACE, takes="cell")
    answers = evaluator.evaluate(ROWS, 1.0, 0)
    assert next(answers).status == Status.FAILED
    assert asked == [1] * 4 + [2] * 4 + [3]
    assert [one.status for one in answers] == [Status.FAILED] * 7 + [Status.OK] * 4
    later = list(evaluator.evaluate(ROWS[:4], 1.0, 0))  # it is known to work: these are failures like any
    assert [one.error for one in later] == ["MemoryError: too small"] * 4


def test_one_cell_alone_may_fail() -> None:
    def fail(cell: Cell) -> float:
        raise ValueError("no")

    (answer,) = FunctionEvaluator(fail, SPACE, takes="cell").evaluate(ROWS[:1], 1.0, 0)
    assert (answer.status, answer.error) == (Status.FAILED, "ValueError: no")


def test_an_evaluator_of_a_function_with_a_name_is_pickled() -> None:
    evaluator = pickle.loads(pickle.dumps(FunctionEvaluator(judge, SPACE)))
    np.testing.assert_array_equal(evaluator.evaluate_bulk(ROWS, 1.0, 0).valid_accuracy, judge(ROWS))
