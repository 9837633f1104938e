from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pnas_sim.engine import Budget, run_search
from pnas_sim.evaluate import Evaluation, Evaluator, EvaluatorSpec, Status
from pnas_sim.function_evaluator import FunctionEvaluator
from pnas_sim.predict import make_predictor
from pnas_sim.runlog import RunLog
from pnas_sim.search import Observations, Pnas, Proposals, RandomSearch
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Rows
from pnas_tables.testing import MadeUpTrainer, made_up_accuracy

SPACE = CellSpace(operations=("sep3", "id", "max3"), max_blocks=3)
MODELS = 61  # 21 one-block cells, then two beams of 20


class StoppedError(Exception):
    """Stands in for whatever ends a process."""


class Flaky:
    """Fails every cell that begins with `id(-1)`, and raises once `cut` children were answered."""

    def __init__(self, cut: int = 10**9) -> None:
        self.inner, self.cut, self.asked = MadeUpTrainer(SPACE), cut, []

    @property
    def spec(self) -> EvaluatorSpec:
        return self.inner.spec

    def evaluate(self, cells: Rows, epochs: float, seed: int) -> Iterator[Evaluation]:
        for answer in self.inner.evaluate(cells, epochs, seed):
            self.asked.append(answer.cell)
            if answer.cell.startswith("id(-1)"):
                failed = Status.FAILED
                name = answer.cell
                answer = Evaluation(cell=name, status=failed, error="x", epochs=epochs, examples=1000.0)
            yield answer
            if len(self.asked) >= self.cut:
                raise StoppedError

    def close(self) -> None:
        self.inner.close()


def small_pnas(batch: int, refit: str) -> Pnas:
    predictor = make_predictor("mlp", SPACE, epochs=3, refit=refit)
    return Pnas(SPACE, predictor, beam=20, batch=batch, seed=1, restarts=refit == "scratch")


@pytest.mark.parametrize("refit", ["scratch", "finetune"])
@pytest.mark.parametrize("cut", [1, 5, 15, 20, 30, 40, 54])
@pytest.mark.parametrize("batch", [7, 256])
def test_a_run_cut_anywhere_resumes_to_the_same_end(tmp_path: Path, refit: str, cut: int, batch: int) -> None:
    budget = Budget(models=999)
    whole = run_search(small_pnas(batch, refit), Flaky(), budget=budget)
    assert whole.models_evaluated == MODELS
    with RunLog(tmp_path / "log") as log, pytest.raises(StoppedError):
        run_search(small_pnas(batch, refit), Flaky(cut), budget=budget, log=log)
    second = Flaky()
    with RunLog(tmp_path / "log") as log:
        resumed = run_search(small_pnas(batch, refit), second, budget=budget, log=log)
    assert repr(resumed.levels) == repr(whole.levels)  # repr: NaN equals NaN
    assert repr(list(resumed.evaluations)) == repr(list(whole.evaluations))
    assert (resumed.stopped, resumed.repeats) == (whole.stopped, whole.repeats)
    assert len(second.asked) <= MODELS - cut + 1


@pytest.mark.parametrize("arrays", [False, True])
@pytest.mark.parametrize("budget", [Budget(models=7), Budget(examples=7500), Budget(seconds=14)])
def test_a_search_ends_at_its_budget(budget: Budget, arrays: bool) -> None:
    """The child that spends the last second is the last, also where it spends exactly that."""
    space = CellSpace(SPACE.operations, 1)
    evaluator: Evaluator = MadeUpTrainer(space)  # 1,000 examples and 2 seconds each
    if arrays:
        judge = partial(made_up_accuracy, space)
        evaluator = FunctionEvaluator(judge, space, train_images=1000, seconds=2.0)
    result = run_search(RandomSearch(space, seed=0), evaluator, budget=budget, batch=4)
    assert (result.models_evaluated, result.stopped) == (7, "budget")


def test_a_search_that_finds_nothing_new_ends() -> None:
    space = CellSpace(("id",), 1)

    def run(models: int, unique: bool) -> tuple[str, int]:
        search = RandomSearch(space, unique=unique, seed=0)
        result = run_search(search, MadeUpTrainer(space), budget=Budget(models=models), batch=2)
        return result.stopped, result.models_evaluated

    assert run(10**5, unique=False) == ("stalled", 3)
    assert run(4, unique=False) == ("proposals", 3)
    assert run(4, unique=True) == ("finished", 3)


class Circling:
    """Proposes some one-block cells over and over, and remembers how many in all."""

    def __init__(self, cells: int, each: int) -> None:
        self.rows, self.each, self.proposed = SPACE.initial()[:cells], each, 0

    def ask(self, n: int) -> Proposals:
        places = (self.proposed + np.arange(self.each)) % len(self.rows)
        self.proposed += self.each
        return Proposals(self.rows[places])

    def tell(self, observations: Observations) -> None:
        """Learns nothing."""

    def replay(self, proposals: Proposals, observations: Observations) -> None:
        """Learns nothing."""


@pytest.mark.parametrize(
    ("models", "cells", "each", "stopped", "proposed"),
    [
        (5, 4, 4, "proposals", 52),  # 12 batches are 48; 10 times the budget is passed by the next
        (4, 3, 4, "proposals", 40),
        (100, 1, 1, "stalled", 51),  # one batch brought a model, 50 brought none
        (100, 3, 2, "stalled", 104),
    ],
)
def test_repeats_end_a_search_at_ten_times_its_budget_or_after_50_batches(
    models: int, cells: int, each: int, stopped: str, proposed: int
) -> None:
    strategy = Circling(cells, each)
    result = run_search(strategy, MadeUpTrainer(SPACE), budget=Budget(models=models))
    assert (result.stopped, strategy.proposed, result.models_evaluated) == (stopped, proposed, cells)
    assert (result.proposals, result.repeats) == (proposed, proposed - cells)


def test_pnas_proposes_the_papers_counts_of_candidates() -> None:
    space = CellSpace(max_blocks=2)
    search = Pnas(space, make_predictor("ridge", space), beam=4, seed=0)
    result = run_search(search, MadeUpTrainer(space), budget=Budget(models=999))
    assert result.models_evaluated == 136 + 4
    assert np.isfinite([evaluation.valid_accuracy for evaluation in result.evaluations]).all()


def test_ten_blocks_are_searched_with_a_function() -> None:
    space = CellSpace(max_blocks=10)
    evaluator = FunctionEvaluator(lambda cells: 0.5 + 0.01 * (cells == 0).sum(axis=1), space)
    search = Pnas(space, make_predictor("ridge", space), beam=3, seed=0)
    result = run_search(search, evaluator, budget=Budget(models=999))
    assert (result.models_evaluated, result.stopped) == (136 + 9 * 3, "finished")
    assert [level.evaluated for level in result.levels] == [136] + 9 * [3]
    assert result.levels[-1].candidates == 3 * len(space.expansion_blocks(9))
