from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pnas_sim.budget import Budget
from pnas_sim.errors import BudgetSpentError, SettingError
from pnas_sim.evaluate import BulkEvaluator, Evaluation, EvaluatorSpec
from pnas_sim.function_evaluator import FunctionEvaluator
from pnas_sim.noise import cell_keys, standard_noise
from pnas_sim.space import CellSpace
from pnas_sim.wrappers import Budgeted, Noisy


def by_cell(evaluator: Any, rows: np.ndarray, epochs: float = 2.0, seed: int = 3) -> dict[str, Any]:
    return {answer.cell: answer for answer in evaluator.evaluate(rows, epochs, seed)}


def test_noise_is_that_of_cell_epochs_and_seed(make_scripted: Any, rows: np.ndarray) -> None:
    inner = make_scripted()
    space = inner.spec.space
    noisy = by_cell(Noisy(inner, 0.02), rows)
    plain = by_cell(inner, rows)
    keys = cell_keys(space.operations, rows)
    valid, test = (standard_noise(keys, 2.0, 3, what) for what in ("valid", "test"))
    halfway = standard_noise(keys, 1.0, 3, "valid")
    for place, text in enumerate(space.format_many(rows)):
        answer, truth = noisy[text], plain[text]
        assert answer.valid_accuracy == truth.valid_accuracy + 0.02 * valid[place]
        assert answer.test_accuracy == truth.test_accuracy + 0.02 * test[place]
        assert answer.expected_valid_accuracy == truth.valid_accuracy
        assert answer.curve == ((1.0, 0.3 + 0.02 * halfway[place]), (2.0, answer.valid_accuracy))
        assert (answer.seconds, answer.examples, answer.seed) == (truth.seconds, truth.examples, truth.seed)


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(12)), seed=st.integers(0, 2**40))
def test_the_order_of_asking_changes_nothing(
    make_bulk: Any, rows: np.ndarray, order: list[int], seed: int
) -> None:
    noisy = Noisy(make_bulk(), 0.02)
    whole = noisy.evaluate_bulk(rows, 2.0, seed)
    shuffled = noisy.evaluate_bulk(rows[order], 2.0, seed)
    np.testing.assert_array_equal(shuffled.valid_accuracy, whole.valid_accuracy[order])
    single = by_cell(noisy, rows, seed=seed)
    assert [one.valid_accuracy for one in single.values()][::-1] == whole.valid_accuracy.tolist()
    assert [one.test_accuracy for one in single.values()][::-1] == whole.test_accuracy.tolist()
    assert [one.expected_valid_accuracy for one in single.values()][::-1] == pytest.approx(
        whole.expected_valid_accuracy
    )


def test_other_seeds_and_epochs_have_other_noise(make_bulk: Any, rows: np.ndarray) -> None:
    noisy = Noisy(make_bulk(), 0.02)
    drawn = [noisy.evaluate_bulk(rows, *asked).valid_accuracy for asked in ((2.0, 0), (2.0, 1), (1.0, 0))]
    assert not np.isclose(drawn[0], drawn[1]).any()
    assert not np.isclose(drawn[0], drawn[2]).any()


def test_children_that_did_not_end_well_stay_as_they_are(make_bulk: Any, rows: np.ndarray) -> None:
    script = {"failing": {2: 99}, "diverged": (1,)}
    noisy = Noisy(make_bulk(**script), 0.02)
    texts = noisy.spec.space.format_many(rows)
    single = by_cell(noisy, rows)
    assert single[texts[1]].valid_accuracy == 0.1
    assert np.isnan([single[texts[2]].valid_accuracy, single[texts[2]].expected_valid_accuracy]).all()
    bulk = noisy.evaluate_bulk(rows, 2.0, 3)
    assert bulk.valid_accuracy[1] == 0.1
    assert bulk.test_accuracy[1] == single[texts[1]].test_accuracy == pytest.approx(0.41)
    assert np.isnan([bulk.valid_accuracy[2], bulk.expected_valid_accuracy[2], bulk.test_accuracy[2]]).all()


def test_what_a_budget_inside_still_paid_for_has_its_noise(make_bulk: Any, rows: np.ndarray) -> None:
    whole = Noisy(make_bulk(), 0.02).evaluate_bulk(rows, 2.0, 3)
    with pytest.raises(BudgetSpentError, match="4 models is spent and 8 cells") as caught:
        Noisy(Budgeted(make_bulk(), Budget(models=4)), 0.02).evaluate_bulk(rows, 2.0, 3)
    found = caught.value.answers
    assert found is not None
    for name in ("valid_accuracy", "expected_valid_accuracy", "test_accuracy"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name)[:4])


def test_accuracies_stay_in_range() -> None:
    space = CellSpace(max_blocks=1)
    noisy = Noisy(FunctionEvaluator(lambda cells: np.ones(len(cells)), space), 5.0)
    values = noisy.evaluate_bulk(space.initial(), 1.0, 0).valid_accuracy
    assert set(values) >= {0.0, 1.0} and ((values >= 0) & (values <= 1)).all()


def test_what_is_not_known_stays_so() -> None:
    class HalfCurve:
        def __init__(self, space: CellSpace) -> None:
            self.spec = EvaluatorSpec(name="half", space=space, epochs=2.0)

        def evaluate(self, cells: np.ndarray, epochs: float, seed: int) -> Iterator[Evaluation]:
            for text in self.spec.space.format_many(cells):
                curve = ((1.0, math.nan), (2.0, 0.5))
                yield Evaluation(cell=text, valid_accuracy=0.5, epochs=2.0, curve=curve)

        def close(self) -> None:
            pass

    space = CellSpace(max_blocks=1)
    (answer,) = Noisy(HalfCurve(space), 0.02).evaluate(space.initial()[:1], 2.0, 0)
    assert math.isnan(answer.test_accuracy) and math.isnan(answer.curve[0][1])
    assert answer.curve[1] == (2.0, answer.valid_accuracy)


def test_what_is_expected_already_is_kept() -> None:
    space = CellSpace(max_blocks=1)
    inner = FunctionEvaluator(lambda cells: np.full(len(cells), 0.5), space)
    twice = Noisy(Noisy(inner, 0.02), 0.02)
    assert set(twice.evaluate_bulk(space.initial(), 1.0, 0).expected_valid_accuracy) == {0.5}
    assert {one.expected_valid_accuracy for one in twice.evaluate(space.initial(), 1.0, 0)} == {0.5}


def test_the_record_names_the_wrapper_and_close_reaches_inside(make_scripted: Any, make_bulk: Any) -> None:
    inner = make_scripted()
    noisy = Noisy(inner, 0.02)
    assert noisy.spec.settings == {"own": 1, "wrappers": [{"name": "noisy", "deviation": 0.02}]}
    assert noisy.spec.space == inner.spec.space
    assert not isinstance(noisy, BulkEvaluator) and isinstance(Noisy(make_bulk(), 0.1), BulkEvaluator)
    noisy.close()
    assert inner.closed == 1


def test_giving_up_ends_what_is_in_flight(make_scripted: Any, rows: np.ndarray) -> None:
    inner = make_scripted()
    answers = Noisy(inner, 0.02).evaluate(rows, 2.0, 0)
    next(answers)
    assert inner.ended == 0
    answers.close()
    assert inner.ended == 1


@pytest.mark.parametrize("deviation", [-0.1, float("nan"), float("inf")])
def test_a_deviation_is_a_number_of_at_least_0(make_scripted: Any, deviation: float) -> None:
    with pytest.raises(SettingError, match=f"deviation is {deviation}"):
        Noisy(make_scripted(), deviation)


def test_wrappers_import_no_torch() -> None:
    code = "import sys, pnas_sim.wrappers, pnas_sim.function_evaluator; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
