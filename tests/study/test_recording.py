from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pnas_sim.engine import Budget
from pnas_sim.predict import make_predictor
from pnas_sim.search import Observations, Pnas, RandomSearch
from pnas_sim.search.hyperband import Hyperband
from pnas_sim.space import CellSpace
from pnas_sim.study.finished import Place
from pnas_sim.study.recording import record_run

SPACE = CellSpace(operations=("sep3", "id", "max3"), max_blocks=3)


def test_run_is_kept_in_order_of_evaluation(made_up_bulk: Any) -> None:
    evaluator = made_up_bulk(SPACE)
    strategy = Pnas(SPACE, make_predictor("ridge", SPACE), beam=8, seed=3)
    place = Place("mine", 2, 3)
    run = record_run(strategy, evaluator, place, budget=Budget(models=500), fingerprint="f")
    first = len(SPACE.initial())
    assert run.facts.place == place
    assert run.facts.stopped == "finished"
    assert run.facts.data == "abc"
    assert run.blocks.tolist() == [1] * first + [2] * 8 + [3] * 8
    assert run.proposals.tolist() == list(range(1, first + 17))
    answers = evaluator.evaluate_bulk(run.cells, 1.0, place.run_seed)
    np.testing.assert_array_equal(run.values, answers.valid_accuracy)
    np.testing.assert_array_equal(run.expected, answers.expected_valid_accuracy)
    np.testing.assert_array_equal(run.seconds, answers.seconds)
    assert set(run.examples) == {100.0}


def test_same_place_same_run(made_up_bulk: Any) -> None:
    runs = [
        record_run(
            RandomSearch(SPACE, seed=5),
            made_up_bulk(SPACE),
            Place("random", 0, 5),
            budget=Budget(models=40),
            fingerprint="f",
            batch=7,
        )
        for _ in range(2)
    ]
    np.testing.assert_array_equal(runs[0].cells, runs[1].cells)
    np.testing.assert_array_equal(runs[0].values, runs[1].values)


def test_repeats_cost_proposals_not_models(made_up_bulk: Any) -> None:
    strategy = RandomSearch(SPACE, unique=False, blocks=1, seed=0)  # 21 cells: repeats soon
    run = record_run(
        strategy, made_up_bulk(SPACE), Place("r", 0, 0), budget=Budget(models=15), fingerprint="f", batch=4
    )
    assert len(run) == 15
    assert run.facts.repeats == run.facts.proposals - 15 or run.facts.stopped == "budget"
    assert (np.diff(run.proposals) >= 1).all()
    assert run.proposals[-1] > 15
    assert run.proposals[-1] <= run.facts.proposals


class Reversed:
    """Answers one by one, the last of the cells first, as a pool of workers might."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.spec = inner, inner.spec

    def evaluate(self, cells: Any, epochs: float, seed: int) -> Any:
        return reversed(list(self.inner.evaluate(cells, epochs, seed)))

    def close(self) -> None:
        self.inner.close()


def test_a_budget_that_leaves_gaps_leaves_every_count_with_its_model(made_up_bulk: Any) -> None:
    """Ten cells of 6 seconds in batches of four: of the last batch the third is answered, the first not."""
    evaluator = Reversed(made_up_bulk(SPACE))
    settings = {"budget": Budget(seconds=57), "fingerprint": "f", "batch": 4}
    run = record_run(RandomSearch(SPACE, seed=2), evaluator, Place("r", 0, 2), **settings)
    assert run.proposals.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 11, 12]
    again, proposed = RandomSearch(SPACE, seed=2), []
    for _ in range(3):
        proposed.append(again.ask(4).cells)
        again.tell(Observations.ok(np.full(4, 0.5)))
    np.testing.assert_array_equal(run.cells, np.concatenate(proposed)[run.proposals - 1])


@pytest.mark.parametrize("epochs", [None, 0.5])
def test_shorter_trainings_count_and_cost_but_are_not_compared(
    made_up_bulk: Any, epochs: float | None
) -> None:
    full = epochs or 1.0
    strategy = Hyperband(SPACE, [full / 3, full], batch=7, seed=1)
    run = record_run(
        strategy,
        made_up_bulk(SPACE),
        Place("h", 0, 1),
        budget=Budget(models=24),
        fingerprint="f",
        epochs=epochs,
    )
    whole = run.examples == 100 * full
    assert 0 < whole.sum() < len(run) == 24
    np.testing.assert_array_equal(~np.isnan(run.values), whole)
    np.testing.assert_array_equal(~np.isnan(run.expected), whole)
    assert len(np.unique(run.cells[whole], axis=0)) == whole.sum()
    assert run.facts.failed == 0
