"""What the engine refuses before it begins: what are no parts, used searches, logs of other runs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pnas_sim.engine import Budget, RunResult, run_search
from pnas_sim.errors import RunError, SettingError
from pnas_sim.function_evaluator import FunctionEvaluator
from pnas_sim.predict import make_predictor
from pnas_sim.runlog import RunLog
from pnas_sim.search import Pnas, RandomSearch
from pnas_sim.space import CellSpace
from pnas_sim.wrappers import Noisy

SPACE = CellSpace(operations=("sep3", "id", "max3"), max_blocks=2)
OTHER = CellSpace(operations=("sep3", "id", "avg3"), max_blocks=2)
LARGER = CellSpace(operations=("sep3", "id", "max3"), max_blocks=3)


def judge(cells: np.ndarray) -> np.ndarray:
    return 0.5 + 0.02 * (cells == 0).sum(axis=1)


def make(space: CellSpace = SPACE, **given: Any) -> FunctionEvaluator:
    return FunctionEvaluator(judge, space, seconds=1.0, **given)


def make_pnas(seed: int = 0, beam: int = 5) -> Pnas:
    return Pnas(SPACE, make_predictor("ridge", SPACE), beam=beam, seed=seed)


def run(path: Path, **given: Any) -> RunResult:
    asked: dict[str, Any] = {"strategy": RandomSearch(SPACE, seed=1), "evaluator": make(), "budget": 20}
    asked |= {"batch": 8, **given}
    with RunLog(path) as log:
        return run_search(asked.pop("strategy"), asked.pop("evaluator"), log=log, **asked)


def make_of_data(checksum: str) -> FunctionEvaluator:
    """Answers as if from a file."""
    evaluator = make()
    evaluator._spec = replace(evaluator.spec, checksum=checksum)
    return evaluator


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "evaluator": ({"evaluator": make(name="mine")}, 'evaluator was "function", is "mine"'),
    "noise": ({"evaluator": Noisy(make(), 0.1)}, "evaluator's wrappers was unset, is "),
    "settings": ({"evaluator": make(settings={"version": 2})}, "evaluator's version was unset, is 2"),
    "data": ({"evaluator": make_of_data("abc")}, 'checksum of its data was "", is "abc"; name another file'),
    "size": (
        {"evaluator": make(LARGER), "strategy": RandomSearch(LARGER, seed=1)},
        "max_blocks was 2, is 3;",
    ),
    "fidelities": ({"evaluator": make(fidelities=(0.5, 1.0))}, "fidelities was [1.0], is [0.5, 1.0];"),
    "chance": ({"evaluator": make(chance=0.3)}, "chance was 0.1, is 0.3;"),
    "images": ({"evaluator": make(train_images=1000)}, "train_images was 0, is 1000;"),
    "space": ({"evaluator": make(OTHER), "strategy": RandomSearch(OTHER, seed=1)}, "operations was "),
    "epochs": ({"evaluator": make(epochs=2)}, "epochs was 1.0, is 2.0"),
    "evaluation seed": ({"evaluation_seed": 3}, "evaluation_seed was 0, is 3"),
    "search": ({"strategy": make_pnas()}, 'search was "RandomSearch", is "Pnas"'),
    "seed": ({"strategy": RandomSearch(SPACE, seed=2)}, "this search begins with other cells"),
}


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_a_log_of_another_run_is_refused_and_stays_as_it_is(tmp_path: Path, change: str) -> None:
    first = run(tmp_path / "log")
    given, complaint = CHANGES[change]
    with pytest.raises(RunError, match="log holds another run: ") as refused:
        run(tmp_path / "log", **given)
    assert complaint in str(refused.value)
    assert "name another file" in str(refused.value)
    again = run(tmp_path / "log")
    assert repr(list(again.evaluations)) == repr(list(first.evaluations))


@pytest.mark.parametrize("given", [{"seed": 1}, {"beam": 6}])
def test_a_search_whose_first_batch_says_nothing_is_known_by_its_settings(
    tmp_path: Path, given: dict[str, int]
) -> None:
    run(tmp_path / "log", strategy=make_pnas(), budget=99)
    (name,) = given
    with pytest.raises(RunError, match=f"search's {name} was ., is {given[name]}"):
        run(tmp_path / "log", strategy=make_pnas(**given), budget=99)
    assert run(tmp_path / "log", strategy=make_pnas(), budget=99).models_evaluated == 21 + 5


@pytest.mark.parametrize("make_search", [lambda: RandomSearch(SPACE, seed=1), make_pnas])
@pytest.mark.parametrize("batch", [8, 5])
def test_a_log_is_gone_on_with_for_more_models_and_other_batches(
    tmp_path: Path, make_search: Callable[[], Any], batch: int
) -> None:
    run(tmp_path / "log", strategy=make_search(), budget=16)
    longer = run(tmp_path / "log", strategy=make_search(), budget=26, batch=batch)
    assert longer.models_evaluated == 26
    if batch == 8:
        whole = run(tmp_path / "whole", strategy=make_search(), budget=26)
        assert repr(list(longer.evaluations)) == repr(list(whole.evaluations))


def test_a_log_from_before_courses_were_kept_goes_on(tmp_path: Path) -> None:
    run(tmp_path / "log")
    with closing(sqlite3.connect(tmp_path / "log")) as database, database:
        database.execute("DELETE FROM meta WHERE key != 'schema'")
    assert run(tmp_path / "log", budget=30).models_evaluated == 30


def test_a_log_from_before_chance_and_images_were_kept_goes_on(tmp_path: Path) -> None:
    run(tmp_path / "log")
    with closing(sqlite3.connect(tmp_path / "log")) as database, database:
        ((text,),) = database.execute("SELECT value FROM meta WHERE key = 'course'").fetchall()
        course = json.loads(text)
        assert (course.pop("chance"), course.pop("train_images")) == ("0.1", "0")
        database.execute("UPDATE meta SET value = ? WHERE key = 'course'", (json.dumps(course),))
    other = make(chance=0.3, train_images=1000)
    assert run(tmp_path / "log", evaluator=other, budget=30).models_evaluated == 30
    with pytest.raises(RunError, match="evaluation_seed was 0, is 3; name another file"):
        run(tmp_path / "log", evaluator=other, evaluation_seed=3)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("evaluations SET valid_accuracy = 7", "gave a child that ended well the accuracy 7"),
        ("evaluations SET valid_accuracy = 9e999", "gave a child that ended well the accuracy inf"),
        ("evaluations SET parameters = 1e300", r"parameters is 1e\+300, no whole number"),
        ("evaluations SET asked_epochs = 'one' WHERE rowid = 1", "asked_epochs is 'one', no number"),
        ("evaluations SET cell = 'none' WHERE rowid = 1", "unknown cell 'none'"),
        ("batches SET cells = x'', predicted = NULL", "batch 0 has 0 cells and no predictions"),
        ("batches SET predicted = x'00'", "buffer size must be a multiple"),
        ("batches SET cells = zeroblob(8), width = 8, predicted = zeroblob(16)", "has 1 cells and 2 pred"),
        ("batches SET cells = x'6363636363636363'", "the search proposed what are no cells of the space"),
        ("batches SET number = 7 WHERE number = 2", "its batches are not numbered from 0 on"),
    ],
)
def test_a_log_that_was_edited_is_not_gone_on_with(tmp_path: Path, change: str, told: str) -> None:
    """A best accuracy of 7, a traceback, or an early end without a word came of it."""
    run(tmp_path / "log")
    with closing(sqlite3.connect(tmp_path / "log")) as database, database:
        database.execute(f"UPDATE {change}")
    with pytest.raises(RunError, match=rf"log cannot be read: [^;]*{told}[^;]*; bring a whole copy of it$"):
        run(tmp_path / "log", budget=30)


def test_a_used_search_is_refused_where_it_has_nothing_left(tmp_path: Path) -> None:
    space = CellSpace(("id",), 1)
    search = RandomSearch(space, seed=0)
    assert run_search(search, make(space), budget=99).stopped == "finished"
    for path in (None, tmp_path / "log"):
        with pytest.raises(SettingError, match="this search is finished already; make a fresh one"):
            if path is None:
                run_search(search, make(space), budget=99)
            else:
                run(path, strategy=search, evaluator=make(space))


def test_a_used_search_is_refused_with_the_log_of_its_run(tmp_path: Path) -> None:
    search = RandomSearch(SPACE, seed=1)
    run(tmp_path / "log", strategy=search, budget=16)
    with pytest.raises(RunError, match="make it anew"):
        run(tmp_path / "log", strategy=search, budget=32)


def test_a_whole_number_is_a_budget_of_models() -> None:
    found = run_search(RandomSearch(SPACE), make(), budget=9)
    assert (found.models_evaluated, found.stopped) == (9, "budget")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"budget": "3h"}, "budget is '3h'; give a Budget, or a number of models"),
        ({"budget": True}, "budget is True"),
        ({"budget": 2.5}, "budget is 2.5"),
        ({"budget": 0}, "budget of models is 0; it must be above 0"),
        ({"strategy": "pnas"}, "strategy is 'pnas', without ask, tell and replay; give a search"),
        ({"strategy": RandomSearch}, "strategy is <class"),
        ({"evaluator": judge}, "evaluator is <function judge"),
        ({"evaluator": "table"}, "evaluator is 'table'"),
        ({"evaluator": FunctionEvaluator}, "evaluator is <class"),
        ({"log": "run.sqlite"}, "log is 'run.sqlite'; open it: with RunLog(path) as log"),
    ],
)
def test_other_things_than_parts_are_refused_in_a_line(given: dict[str, Any], message: str) -> None:
    asked = {"strategy": RandomSearch(SPACE), "evaluator": make(), "budget": Budget(models=3), **given}
    with pytest.raises(SettingError) as refused:
        run_search(asked.pop("strategy"), asked.pop("evaluator"), **asked)
    assert message in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


class Odd(RandomSearch):
    """Has an attribute of a name that says something else elsewhere."""

    settings: Any = None


@pytest.mark.parametrize("settings", [[1, 2], {"of": np.int64(3), "by": object()}])
def test_settings_of_any_kind_are_no_hindrance(tmp_path: Path, settings: Any) -> None:
    for budget in (8, 16):
        search = Odd(SPACE, seed=1)
        search.settings = settings if isinstance(settings, list) else {**settings, "by": object()}
        assert run(tmp_path / "log", strategy=search, budget=budget).models_evaluated == budget
