from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pnas_sim.answers import pack_answers
from pnas_sim.budget import Budget
from pnas_sim.errors import BackendError
from pnas_sim.evaluate import (
    Answers,
    BackendRequest,
    Evaluation,
    Evaluator,
    EvaluatorSpec,
    Source,
    Status,
    check_request,
)
from pnas_sim.function_evaluator import FunctionEvaluator
from pnas_sim.registry import make_backend
from pnas_sim.space import Cell, CellSpace
from pnas_sim.testing.evaluators import check_evaluator
from pnas_sim.wrappers import Budgeted, Memoized, Noisy, Retried
from pnas_tables.fit import FitSettings
from pnas_tables.forest import ForestSettings
from pnas_tables.format import write_table
from pnas_tables.plans import Plan, Step, list_jobs, sample_plan
from pnas_tables.surrogate import fit_surrogate
from pnas_tables.testing import build_made_up_table


def judge(cells: np.ndarray) -> np.ndarray:
    return np.where(cells == 255, 0.0, cells * 0.001).sum(axis=1) + 0.4


def judge_cell(cell: Cell) -> float:
    return 0.4 + 0.001 * len(cell.text)


def learn(cells: np.ndarray, epochs: float) -> np.ndarray:
    return judge(cells) * epochs / 4


# What ships


def make_function(request: BackendRequest, takes: Any = "rows", **options: Any) -> FunctionEvaluator:
    function = learn if options.get("fidelities") else judge if takes == "rows" else judge_cell
    return FunctionEvaluator(function, CellSpace(max_blocks=request.blocks), takes=takes, **options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"takes": "cell"},
        {"epochs": 4, "fidelities": (1, 2, 4), "train_images": 100, "seconds": 3.0},
        {"deterministic": False},
    ],
)
@pytest.mark.parametrize("blocks", [1, 5, 10])
def test_function_evaluators_keep_the_contract(blocks: int, options: dict[str, Any]) -> None:
    check_evaluator(lambda request: make_function(request, **options), blocks=blocks)


WRAPPERS = {
    "noisy": lambda inner: Noisy(inner, 0.01),
    "retried": lambda inner: Retried(inner, 2),
    "budgeted": lambda inner: Budgeted(inner, Budget(models=10_000)),
    "memoized": Memoized,
    "all": lambda inner: Memoized(Budgeted(Retried(Noisy(inner, 0.01), 2), Budget(seconds=1e9))),
}


@pytest.mark.parametrize("takes", ["rows", "cell"])
@pytest.mark.parametrize("name", WRAPPERS)
def test_wrappers_keep_the_contract(name: str, takes: str) -> None:
    check_evaluator(lambda request: WRAPPERS[name](make_function(request, takes)), blocks=3)


def test_a_table_with_a_surrogate_keeps_the_contract(tmp_path: Path) -> None:
    space, path = CellSpace(max_blocks=3), tmp_path / "fitted.h5"
    jobs = list_jobs(sample_plan("fitted", 90, (1, 2, 3), seeds=2, seed=3, space=space), space)
    quick = FitSettings(worlds=2, shares=(), forest=ForestSettings(forests=2, trees=10))
    write_table(path, fit_surrogate(build_made_up_table(jobs, space, path, "fitted"), settings=quick))
    check_evaluator("table", blocks=3, table=str(path))
    for blocks, option in ((2, {"noise": "off"}), (4, {"extrapolate": True})):
        check_evaluator(
            lambda request: make_backend("table", request), blocks=blocks, table=str(path), **option
        )


def test_a_closed_table_keeps_the_contract(tmp_path: Path) -> None:
    space, path = CellSpace(operations=("sep3", "max3"), max_blocks=2), tmp_path / "closed.h5"
    steps = (Step("all", 1, 0, 10), Step("all", 2, 0, 165), Step("all", 1, 0, 10, seed=4))
    build_made_up_table(list_jobs(Plan("closed", 0, steps), space), space, path, "closed")
    for seed in (0, 1):
        check_evaluator("table", blocks=2, seed=seed, table=str(path), table_mode="measured")


def test_the_training_backend_keeps_the_contract() -> None:
    """Made by a lambda: its children train in processes of their own anyway, each with another hash seed."""
    tiny = {"filters": 4, "cells_per_stage": 1, "train_images": 64, "valid_images": 64, "test_images": 64}
    cells = CellSpace(max_blocks=1).initial()[[36, 100]]
    options = {"device": "cpu", "dataset": "digits", "epochs": 0.5, **tiny}
    check_evaluator(lambda request: make_backend("gpu", request), blocks=1, cells=cells, **options)


# What is broken


class Broken:
    """A sound evaluator with one thing done wrong."""

    made = 0

    def __init__(self, request: BackendRequest, fault: str) -> None:
        self.fault = fault
        self.space = CellSpace(max_blocks=request.blocks)
        self.calls = 0
        Broken.made += 1
        self.order = Broken.made

    @property
    def spec(self) -> EvaluatorSpec:
        spec = EvaluatorSpec(
            name="broken", space=self.space, epochs=2.0, fidelities=(1.0, 2.0), train_images=10
        )
        changes: dict[str, dict[str, Any]] = {
            "has settings that are not JSON": {"settings": {"cells": self}},
            "has fidelities in disorder": {"fidelities": (2.0, 1.0)},
            "has epochs it cannot serve": {"epochs": 3.0},
            "has a chance above 1": {"chance": 10.0},
            "has no name": {"name": ""},
            "has a small space": {"space": CellSpace(max_blocks=1)},
            "is not deterministic, and says so": {"deterministic": False},
        }
        return replace(spec, **changes.get(self.fault, {}))

    def evaluate(self, cells: np.ndarray, epochs: float, seed: int) -> Iterator[Evaluation]:
        self.calls += 1
        self.refuse(cells, epochs, seed)
        answers = [self.answer(row, epochs, seed) for row in cells]
        if self.fault == "repeats an answer":
            answers += answers[:1]
        if self.fault == "leaves one out" and len(cells) > 1:
            del answers[1]
        if self.fault == "changes its rows" and len(cells):
            cells[0, 0] = 1 - cells[0, 0]
        if self.fault == "depends on the batch":
            answers = [replace(one, valid_accuracy=0.4 + len(cells) / 100) for one in answers]
        if self.fault == "depends on the order":
            answers = [replace(one, valid_accuracy=0.4 + at / 100) for at, one in enumerate(answers)]
        return iter(answers)

    def refuse(self, cells: np.ndarray, epochs: float, seed: int) -> None:
        if self.fault == "raises what is not documented" and cells.shape[1] != self.space.width:
            raise IndexError(cells.shape)
        takes = {
            "takes any rows": (self.space.initial()[:1], epochs, seed),
            "takes any epochs": (cells, 2.0, seed),
            "takes any seed": (cells, epochs, 0),
        }
        check_request(self.spec, *takes.get(self.fault, (cells, epochs, seed)))
        if self.fault == "answers nothing with an error" and len(cells) == 0:
            raise BackendError("no cells")

    def answer(self, row: np.ndarray, epochs: float, seed: int) -> Evaluation:
        unknown = self.fault == "takes any rows" and (row[row != 255] >= len(self.space.operations)).any()
        text = self.space.format(self.space.initial()[0] if unknown else row)
        value = 0.4 + (int(row[row != 255].sum()) * 7 + seed) % 97 / 1000
        if self.fault.startswith("is not deterministic"):
            value += np.random.default_rng().random() / 10
        if self.fault == "draws from the global NumPy":
            value += np.random.random() / 10  # noqa: NPY002
        if self.fault == "depends on the hash seed":
            value += hash("salt") % 997 / 10_000
        if self.fault == "differs by instance":
            value += self.order % 97 / 1000
        if self.fault == "differs by call":
            value += self.calls / 10_000
        changes: dict[str, dict[str, Any]] = {
            "answers text that is not canonical": {"cell": self.swap(text)},
            "answers in percent": {"valid_accuracy": 50 * value},
            "answers ok without an accuracy": {"valid_accuracy": nan},
            "fails with an accuracy": {"status": Status.FAILED, "error": "crash"},
            "fails without a reason": {"status": Status.FAILED, "valid_accuracy": nan},
            "explains at length": {"error": "two\nlines"},
            "answers other epochs": {"epochs": 7.0},
            "answers another seed": {"seed": seed + 1},
            "counts other examples": {"examples": 3.0},
            "takes negative seconds": {"seconds": -1.0},
            "has a curve in disorder": {"curve": ((2.0, 0.3), (1.0, 0.2))},
            "has a curve in percent": {"curve": ((1.0, 30.0),)},
            "has odd costs": {"parameters": -2},
            "has a status of its own": {"status": 0},
        }
        sound = Evaluation(
            cell=text, valid_accuracy=value, epochs=epochs, examples=10 * epochs, seconds=1.0, seed=seed
        )
        return replace(sound, **changes.get(self.fault, {}))

    def swap(self, text: str) -> str:
        return " | ".join("+".join(block.split("+")[::-1]) for block in text.split(" | "))

    def close(self) -> None:
        pass


class BrokenBulk(Broken):
    """The same with an array form."""

    def evaluate_bulk(self, cells: np.ndarray, epochs: float, seed: int) -> Answers:
        self.refuse(cells, epochs, seed)
        answers = [self.answer(row, epochs, seed) for row in cells]
        if self.fault == "answers arrays in another order":
            answers.sort(key=lambda answer: answer.valid_accuracy)
        if self.fault == "answers arrays with other values":
            answers = [replace(one, valid_accuracy=one.valid_accuracy / 2) for one in answers]
        packed = pack_answers(answers, Source.TRAINED, epochs, seed)
        if self.fault == "answers too few":
            return replace(packed, seconds=packed.seconds[1:])
        if self.fault == "answers in single precision":
            return replace(packed, valid_accuracy=packed.valid_accuracy.astype(np.float32))
        return packed


FAULTS = {
    "has settings that are not JSON": "settings are not JSON",
    "has fidelities in disorder": "fidelities .*, not ascending",
    "has epochs it cannot serve": "epochs 3, none of its fidelities",
    "has a chance above 1": "chance 10, outside",
    "has no name": "declares no name",
    "has a small space": "cells of up to 1 blocks, asked for are 2",
    "repeats an answer": "is answered twice",
    "leaves one out": "1 cells are not answered",
    "changes its rows": "changes the rows it was given",
    "depends on the batch": "differs when asked one by one",
    "depends on the order": "differs when asked one by one|in another order",
    "raises what is not documented": "rows of another width raises IndexError, not RequestError",
    "takes any rows": "rows of another width|an operation outside the space",
    "takes any epochs": "0 epochs is not refused",
    "takes any seed": "a seed below 0 is not refused",
    "is not deterministic": "valid_accuracy of .* differs",
    "draws from the global NumPy": "uses the global generator of numpy|differs",
    "differs by instance": "differs when asked again",
    "differs by call": "differs when",
    "answers text that is not canonical": "its canonical text was not asked",
    "answers in percent": "valid_accuracy is .*, outside",
    "answers ok without an accuracy": "is ok, but has no valid_accuracy",
    "fails with an accuracy": "is failed, but has an accuracy",
    "fails without a reason": "does not say why",
    "explains at length": "its error has several lines",
    "answers other epochs": "is of 7 epochs; 2 were asked for",
    "answers another seed": "is of seed 1; 0 was asked for",
    "counts other examples": "3 examples, not 20",
    "takes negative seconds": "seconds is -1.0",
    "has a curve in disorder": "not ascending up to 2",
    "has a curve in percent": r"curve leaves \[0, 1\]",
    "has odd costs": "a cost is below -1",
    "has a status of its own": "its status is 0",
}
BULK_FAULTS = {
    "answers arrays in another order": "differs between evaluate and evaluate_bulk",
    "answers arrays with other values": "valid_accuracy of .* differs between",
    "answers too few": "seconds is float64",
    "answers in single precision": "valid_accuracy is float32",
    "takes any seed": "a seed below 0 is not refused",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_found(fault: str) -> None:
    with pytest.raises(AssertionError, match=FAULTS[fault]):
        check_evaluator(lambda request: Broken(request, fault))


@pytest.mark.parametrize("fault", BULK_FAULTS)
def test_faults_of_whole_arrays_are_found(fault: str) -> None:
    with pytest.raises(AssertionError, match=BULK_FAULTS[fault]):
        check_evaluator(lambda request: BrokenBulk(request, fault))


@pytest.mark.parametrize("fault", ["none", "is not deterministic, and says so"])
@pytest.mark.parametrize("kind", [Broken, BrokenBulk])
def test_a_sound_evaluator_without_a_name_passes(kind: Any, fault: str) -> None:
    check_evaluator(lambda request: kind(request, fault))


def test_what_is_no_evaluator_is_found() -> None:
    def make(request: BackendRequest) -> Evaluator:
        return object()  # type: ignore[return-value]

    with pytest.raises(AssertionError, match="object lacks spec, evaluate or close"):
        check_evaluator(make)


SOURCE = """
from pnas_sim.function_evaluator import FunctionEvaluator
from pnas_sim.space import CellSpace

def create(request):
    shift = hash("salt") % 997 / 10_000 * request.options["wrong"]
    space = CellSpace(max_blocks=request.blocks)
    return FunctionEvaluator(lambda cells: 0.4 + shift + 0.0 * cells[:, 0], space)
"""


def test_an_evaluator_that_differs_between_processes_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hashing_backend_fixture.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    for factory in ("hashing_backend_fixture:create", __import__("hashing_backend_fixture").create):
        check_evaluator(factory, wrong=0)
        with pytest.raises(AssertionError, match="answered otherwise in another process"):
            check_evaluator(factory, wrong=1)
