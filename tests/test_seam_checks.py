"""Wrong answers and wrong batches, one by one and in bulk: told in one line, and never in the log."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pnas_sim.answers import pack_answers
from pnas_sim.engine import Budget, run_search
from pnas_sim.errors import BackendError, SettingError
from pnas_sim.evaluate import Answers, BackendRequest, Evaluation, EvaluatorSpec, Source, Status
from pnas_sim.registry import make_backend
from pnas_sim.runlog import RunLog
from pnas_sim.seam_checks import check_spec
from pnas_sim.search import RandomSearch
from pnas_sim.search.base import Observations, Proposals
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Rows

SPACE = CellSpace(max_blocks=3)
SPEC = EvaluatorSpec(name="mine", space=SPACE, epochs=1.0, train_images=10)
Change = Callable[[Evaluation], Any]


class Changed:
    """Answers well, then each answer is changed."""

    spec = SPEC

    def __init__(self, change: Change) -> None:
        self.change = change

    def answer(self, cells: Rows) -> list[Any]:
        answers = [
            Evaluation(cell=text, valid_accuracy=0.5, epochs=1.0, examples=10.0, seconds=1.0)
            for text in SPACE.format_many(cells)
        ]
        return [self.change(one) for one in answers]

    def evaluate(self, cells: Rows, epochs: float, seed: int) -> Iterator[Evaluation]:
        yield from self.answer(cells)

    def close(self) -> None:
        """Nothing is held."""


class ChangedBulk(Changed):
    """The same as arrays."""

    def evaluate_bulk(self, cells: Rows, epochs: float, seed: int) -> Answers:
        return pack_answers(self.answer(cells), Source.TRAINED, epochs, seed)


def search(evaluator: Any, path: Path | None = None, strategy: Any = None, **budget: float) -> Any:
    strategy = strategy or RandomSearch(SPACE, seed=1)
    settings: dict[str, Any] = {"budget": Budget(**(budget or {"models": 20})), "batch": 10}
    if path is None:
        return run_search(strategy, evaluator, **settings)
    with RunLog(path) as log:
        return run_search(strategy, evaluator, log=log, **settings)


WRONG = {
    "valid_accuracy": (54.5, "the accuracy 54.5; give a share from 0 to 1"),
    "test_accuracy": (87.0, "test_accuracy 87; give a share from 0 to 1, or NaN"),
    "expected_valid_accuracy": (-0.1, "expected_valid_accuracy -0.1; give a share"),
    "seconds": (math.nan, "nan seconds; give a finite number of at least 0"),
    "examples": (-5.0, "-5 examples; give a finite number"),
}


@pytest.mark.parametrize("kind", [Changed, ChangedBulk])
@pytest.mark.parametrize("name", WRONG)
def test_a_figure_out_of_range_is_refused_before_it_is_logged(name: str, kind: Any, tmp_path: Path) -> None:
    value, complaint = WRONG[name]
    with pytest.raises(BackendError, match=f"backend mine .*{complaint}"):
        search(kind(lambda one: replace(one, **{name: value})), tmp_path / "log.sqlite")
    with RunLog(tmp_path / "log.sqlite") as log:
        assert log.read_evaluations() == {}


def test_seconds_that_are_no_number_do_not_let_a_run_go_on_for_ever() -> None:
    with pytest.raises(BackendError, match="nan seconds"):
        search(Changed(lambda one: replace(one, seconds=math.nan)), seconds=3600)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (lambda one: {"cell": one.cell}, "answered with dict; give pnas_sim.evaluate.Evaluation"),
        (lambda one: None, "answered with NoneType"),
        (lambda one: replace(one, status=7), "the status 7; give Status.OK, Status.DIVERGED, Status.FAILED"),
        (lambda one: replace(one, source="guessed"), "the source 'guessed'; give Source.TRAINED"),
        (
            lambda one: replace(one, curve=(0.5, 0.6)),
            r"the curve \(0.5, 0.6\); give \(epochs, accuracy\) pairs",
        ),
    ],
)
def test_what_is_no_answer_is_named(given: Change, complaint: str) -> None:
    with pytest.raises(BackendError, match=complaint):
        search(Changed(given))


def test_answers_that_cannot_be_gone_through_are_named() -> None:
    evaluator = Changed(lambda one: one)
    evaluator.evaluate = lambda cells, epochs, seed: None  # type: ignore[assignment, method-assign, return-value]
    with pytest.raises(BackendError, match="backend mine answered with NoneType; yield answers"):
        search(evaluator)
    bulk = ChangedBulk(lambda one: one)
    bulk.evaluate_bulk = lambda cells, epochs, seed: [0.5] * len(cells)  # type: ignore[assignment, method-assign, return-value]
    with pytest.raises(BackendError, match=r"answered with list; give pnas_sim.evaluate.Answers"):
        search(bulk)


BULK = {
    "status": (np.array([7], np.uint8), "the status 7; give one of Status"),
    "source": ("nope", "the source 'nope'; give one of Source"),
    "parameters": (np.array([1.5]), r"parameters as float64\[1\] for 1 cells; give one whole number a cell"),
    "valid_accuracy": (np.array([[0.5]]), r"valid_accuracy as float64\[1, 1\] for 1 cells; give one number"),
    "seconds": ([1.0], "seconds as <class 'list'> for 1 cells"),
    "extrapolated": (np.array([0]), "give one bool a cell"),
}


@pytest.mark.parametrize("name", BULK)
def test_arrays_of_other_kinds_are_refused_before_they_are_logged(name: str, tmp_path: Path) -> None:
    value, complaint = BULK[name]
    evaluator = ChangedBulk(lambda one: one)
    whole = evaluator.evaluate_bulk

    def spoil(cells: Rows, epochs: float, seed: int) -> Answers:
        return replace(whole(cells, epochs, seed), **{name: value})

    evaluator.evaluate_bulk = spoil  # type: ignore[method-assign]
    with pytest.raises(BackendError, match=f"backend mine gave .*{complaint}"):
        search(evaluator, tmp_path / "log.sqlite", Fixed(Proposals(INITIAL[:1])))
    with RunLog(tmp_path / "log.sqlite") as log:
        assert log.read_evaluations() == {}


@pytest.mark.parametrize("name", ["valid_accuracy", "seconds", "parameters", "seed", "epochs"])
def test_a_field_that_is_no_number_is_named(name: str) -> None:
    with pytest.raises(BackendError, match=f"gave a child {name} None; give a (whole )?number"):
        search(Changed(lambda one: replace(one, **{name: None})))


def test_numbers_of_numpy_are_kept_as_numbers(tmp_path: Path) -> None:
    """SQLite would keep them as bytes, and nobody could read the log again."""
    numbers = {
        "parameters": np.int64(1234),
        "multiply_adds": np.int32(99),
        "seed": np.int64(3),
        "valid_accuracy": np.float32(0.5),
        "curve": ((np.int64(1), np.float64(0.25)),),
    }
    search(Changed(lambda one: replace(one, **numbers)), tmp_path / "log.sqlite")
    kinds = "SELECT DISTINCT typeof(parameters), typeof(multiply_adds), typeof(seed) FROM evaluations"
    with sqlite3.connect(tmp_path / "log.sqlite") as database:
        assert database.execute(kinds).fetchall() == [("integer",) * 3]
    with RunLog(tmp_path / "log.sqlite") as log:
        kept = next(iter(log.read_evaluations().values()))
    assert (kept.parameters, kept.multiply_adds, kept.seed) == (1234, 99, 3)
    assert kept.curve == ((1.0, 0.25),)


# ------------------------------------------------------------------------------------------------ proposals


class Fixed:
    """A search that proposes one thing."""

    def __init__(self, proposals: Any) -> None:
        self.proposals = proposals

    def ask(self, n: int) -> Any:
        return self.proposals

    def tell(self, observations: Observations) -> None:
        """It does not learn."""

    def replay(self, proposals: Any, observations: Observations) -> None:
        """It does not learn."""


OUTSIDE = np.full((2, SPACE.width), 99, np.uint8)
INITIAL = SPACE.initial()[:2]


@pytest.mark.parametrize(
    ("proposals", "complaint"),
    [
        (INITIAL, "the search proposed ndarray; give pnas_sim.search.base.Proposals"),
        (Proposals(OUTSIDE), "the search proposed what are no cells of the space: row 0"),
        (Proposals(INITIAL, predicted=np.zeros(1)), r"predictions of shape \(1,\) for 2 cells; give float64"),
        (Proposals(INITIAL, predicted=np.array([0.1, math.nan])), "all finite, or None"),
        (Proposals(INITIAL, epochs=-1.0), "the search asked for -1.0 epochs; give a positive number"),
    ],
)
def test_a_wrong_batch_is_refused_before_it_is_logged(proposals: Any, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=complaint):
        search(Changed(lambda one: one), tmp_path / "log.sqlite", Fixed(proposals))
    with RunLog(tmp_path / "log.sqlite") as log:
        assert log.read_batches() == [] and log.read_evaluations() == {}


# ---------------------------------------------------------------------------------------------------- specs


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"name": ""}, "no name"),
        ({"space": None}, "a space that is NoneType, no CellSpace"),
        ({"epochs": 0.0}, "epochs 0, no positive number"),
        ({"epochs": None}, "that are no numbers"),
        ({"epochs": 1.0, "fidelities": (2.0, 1.0)}, r"fidelities \(2.0, 1.0\), not ascending"),
        ({"epochs": 1.0, "fidelities": (0.0, 1.0)}, "not all above 0"),
        ({"epochs": 3.0, "fidelities": (1.0, 2.0)}, "epochs 3, none of its fidelities"),
        ({"chance": 5.0}, r"chance 5, outside \[0, 1\)"),
        ({"train_images": -1}, "-1 train_images"),
    ],
)
def test_a_spec_that_cannot_be_is_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BackendError, match=complaint):
        check_spec(replace(SPEC, **changes), 2)


def make_small(request: BackendRequest) -> Changed:
    """A backend of its own, of smaller cells than are asked for."""
    made = Changed(lambda one: replace(one, status=Status.OK))
    made.spec = replace(SPEC, space=CellSpace(max_blocks=2))  # type: ignore[misc]
    return made


def test_a_backend_of_smaller_cells_is_refused_when_it_is_made() -> None:
    path = f"{__name__}:make_small"
    assert make_backend(path, BackendRequest(blocks=2)).spec.name == "mine"
    with pytest.raises(BackendError, match="cells of up to 2 blocks, asked for are 3; give --blocks 2"):
        make_backend(path, BackendRequest(blocks=3))
