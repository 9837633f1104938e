"""What the engine and its log do when an evaluator misbehaves, a disk is full or a process dies."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pnas_sim.engine import Budget, RunResult, run_search
from pnas_sim.errors import BackendError, WorkError
from pnas_sim.evaluate import Evaluation, EvaluatorSpec, Status
from pnas_sim.runlog import RunLog
from pnas_sim.search import RandomSearch
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Rows

SPACE = CellSpace(max_blocks=3)
Change = Callable[[list[Evaluation]], Iterator[Evaluation]]


class Scripted:
    """Answers every cell well, then lets `change` do something to the answers."""

    def __init__(self, change: Change = iter) -> None:
        self.change = change
        self.spec = EvaluatorSpec(name="scripted", space=SPACE, epochs=1.0, train_images=10)

    def evaluate(self, cells: Rows, epochs: float, seed: int) -> Iterator[Evaluation]:
        answers = [
            Evaluation(cell=text, valid_accuracy=0.5, epochs=epochs, examples=10.0, seconds=1.0)
            for text in SPACE.format_many(cells)
        ]
        return self.change(answers)

    def close(self) -> None:
        """Nothing is held."""


def search(change: Change = iter, log: RunLog | None = None, budget: Budget | None = None) -> RunResult:
    budget = budget or Budget(models=100)
    return run_search(RandomSearch(SPACE, seed=1), Scripted(change), budget=budget, log=log, batch=64)


def test_cells_that_the_budget_leaves_out_are_no_repeats() -> None:
    result = search()
    assert (result.models_evaluated, result.proposals, result.repeats) == (100, 128, 0)


def test_a_budget_of_seconds_stops_at_the_answer_that_reaches_it() -> None:
    result = search(budget=Budget(seconds=10))
    assert (result.models_evaluated, result.child_seconds, result.stopped) == (10, 10.0, "budget")


def test_a_budget_of_what_is_not_counted_ends_with_a_word_on_it() -> None:
    def change(answers: list[Evaluation]) -> Iterator[Evaluation]:
        return (replace(one, seconds=0.0) for one in answers)

    with pytest.raises(BackendError, match="models cost 0 seconds, so a budget of seconds never ends"):
        search(change, budget=Budget(seconds=50))
    assert search(change, budget=Budget(models=1200)).models_evaluated == 1200


def test_an_unanswered_cell_is_the_backends_fault_and_not_the_budgets_end() -> None:
    with pytest.raises(BackendError, match="left 1 cells unanswered"):
        search(lambda answers: iter(answers[1:]))


@pytest.mark.parametrize("accuracy", [math.nan, -0.01, 1.01, 91.5, math.inf])
def test_what_is_no_accuracy_is_refused_before_it_is_logged(tmp_path: Path, accuracy: float) -> None:
    def change(answers: list[Evaluation]) -> Iterator[Evaluation]:
        yield from answers[:3]
        yield replace(answers[3], valid_accuracy=accuracy)

    with (
        RunLog(tmp_path / "log.sqlite") as log,
        pytest.raises(BackendError, match=f"ended well the accuracy {accuracy:g}; give a share from 0 to 1"),
    ):
        search(change, log)
    with RunLog(tmp_path / "log.sqlite") as log:
        assert len(log.read_evaluations()) == 3


def test_a_failed_child_has_no_accuracy_and_is_not_refused() -> None:
    failed = search(
        lambda answers: (replace(one, status=Status.FAILED, valid_accuracy=math.nan) for one in answers)
    )
    assert failed.failed == failed.models_evaluated == 100


def test_an_answer_that_was_not_asked_for_is_refused() -> None:
    with pytest.raises(BackendError, match="twice; mend it"):
        search(lambda answers: iter([*answers, answers[0]]))
    other = "sep3(-2)+sep3(-2)"
    with pytest.raises(BackendError, match=r"answered .* unasked, or not in its canonical text"):
        search(lambda answers: iter([replace(answers[0], cell=other + " "), *answers]))


def test_a_diverged_child_without_a_number_counts_as_chance() -> None:
    def break_first(answers: list[Evaluation]) -> Iterator[Evaluation]:
        name = answers[0].cell
        yield Evaluation(
            cell=name, status=Status.DIVERGED, valid_accuracy=math.nan, examples=10.0, seconds=1.0
        )
        yield from answers[1:]

    result = search(break_first)
    assert result.evaluations[0].valid_accuracy == 0.1
    assert result.levels[-1].best_valid_accuracy == 0.5


def test_answers_that_arrived_survive_what_ends_the_process(tmp_path: Path) -> None:
    def die(answers: list[Evaluation]) -> Iterator[Evaluation]:
        yield from answers[:5]
        raise KeyboardInterrupt

    with RunLog(tmp_path / "log") as log, pytest.raises(KeyboardInterrupt):
        search(die, log)
    with RunLog(tmp_path / "log") as log:
        assert len(log.read_evaluations()) == 5


def test_a_full_disk_is_said_and_the_log_goes_on_when_there_is_room(tmp_path: Path) -> None:
    with RunLog(tmp_path / "log") as log:
        log._database.execute("PRAGMA max_page_count=12")
        with pytest.raises(WorkError, match="disk is full"):
            search(log=log)
    with RunLog(tmp_path / "log") as log:
        assert repr(list(search(log=log).evaluations)) == repr(list(search().evaluations))


def test_failures_that_a_log_forgot_are_asked_again_and_no_other_cell(tmp_path: Path) -> None:
    def fail_some(answers: list[Evaluation]) -> Iterator[Evaluation]:
        for number, one in enumerate(answers):
            failed = replace(one, status=Status.FAILED, valid_accuracy=math.nan, error="out of memory")
            yield failed if number % 5 == 0 else one

    asked: list[str] = []

    def listen(answers: list[Evaluation]) -> Iterator[Evaluation]:
        asked.extend(one.cell for one in answers)
        return iter(answers)

    with RunLog(tmp_path / "log.sqlite") as log:
        then = search(fail_some, log)
        failed = [one.cell for one in then.evaluations if one.status == Status.FAILED]
        assert log.count_failed() == then.failed == len(failed) > 0
    with RunLog(tmp_path / "log.sqlite") as log:
        log.forget_failed()
        now = search(listen, log)
        assert log.count_failed() == 0
    assert sorted(asked) == sorted(failed)
    assert (now.failed, now.models_evaluated) == (0, then.models_evaluated)
    assert [one.cell for one in now.evaluations] == [one.cell for one in then.evaluations]
