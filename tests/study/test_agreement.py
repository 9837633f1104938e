from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pnas_sim.errors import SettingError
from pnas_sim.study.agreement import (
    average_seeds,
    correlate,
    measure_agreement,
    measure_regret,
    measure_seed_deviation,
)

VALUES = arrays(np.float64, 10, elements=st.floats(0, 1, width=16), unique=True)
NONE = math.nan


def test_figures_of_hand_made_numbers() -> None:
    predicted = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    trained = predicted - 0.05
    trained[[0, 1]] = trained[[1, 0]]  # one pair of 28 the wrong way round: tau is (27 - 1) / 28
    found = measure_agreement(predicted, trained, resamples=200)
    assert found is not None
    assert found.kendall_tau is not None
    assert found.spearman is not None
    assert found.cells == 8
    assert found.kendall_tau.value == pytest.approx(26 / 28)
    assert found.spearman.value == pytest.approx(1 - 6 * 2 / (8 * 63))
    assert found.bias.value == pytest.approx(0.05)
    assert found.bias.low <= 0.05 <= found.bias.high
    assert found.rmse == pytest.approx(math.sqrt((6 * 0.05**2 + 0.05**2 + 0.15**2) / 8))


def test_failed_cells_are_left_out_and_few_have_no_ranks() -> None:
    found = measure_agreement(np.array([0.5, 0.6, 0.9]), np.array([0.4, 0.4, NONE]))
    assert found is not None
    assert (found.cells, found.kendall_tau, found.spearman) == (2, None, None)
    assert found.bias.value == pytest.approx(0.15)
    assert measure_agreement(np.array([0.5]), np.array([NONE])) is None
    assert correlate(np.ones(9), np.arange(9.0)) is None
    with pytest.raises(SettingError, match="2 predictions for 1"):
        measure_agreement(np.zeros(2), np.zeros(1))


def test_intervals_follow_their_seed() -> None:
    predicted, trained = np.arange(10.0), np.random.default_rng(0).normal(size=10)
    one, again, other = (measure_agreement(predicted, trained, resamples=40, seed=seed) for seed in (1, 1, 2))
    assert one == again != other


@given(VALUES, VALUES)
@settings(deadline=None, max_examples=25)
def test_ranks_ignore_scale_and_turn_with_it(predicted: np.ndarray, trained: np.ndarray) -> None:
    one, scaled = correlate(predicted, trained), correlate(predicted * 4 + 1, trained)
    assert one is not None
    assert scaled == pytest.approx(one)
    assert correlate(-predicted, trained) == pytest.approx((-one[0], -one[1]))
    assert correlate(trained, predicted) == pytest.approx(one)


@given(VALUES, VALUES, st.floats(-1, 1))
@settings(deadline=None, max_examples=25)
def test_bias_moves_with_the_predictions(predicted: np.ndarray, trained: np.ndarray, by: float) -> None:
    one = measure_agreement(predicted, trained, resamples=20)
    other = measure_agreement(predicted + by, trained, resamples=20)
    assert one is not None
    assert other is not None
    assert other.bias.value - one.bias.value == pytest.approx(by, abs=1e-9)
    assert one.bias.low <= one.bias.high
    assert one.rmse >= abs(one.bias.value) - 1e-12


def test_cells_without_a_prediction_are_left_out_too() -> None:
    found = measure_agreement(np.array([NONE, 0.6, 0.7]), np.array([0.4, 0.5, 0.5]))
    assert found is not None
    assert (found.cells, found.bias.value) == (2, pytest.approx(0.15))
    assert found.rmse == pytest.approx(math.sqrt((0.1**2 + 0.2**2) / 2))


def test_regret_is_measured_by_seeds_that_did_not_choose() -> None:
    # seed 0 alone praises the second cell; seed 1 chooses the third, which seed 0 finds worse than the winner
    trained = np.array([[0.80, 0.80], [0.90, 0.70], [0.70, 0.85]])
    found = measure_regret(trained, 0)
    assert found is not None
    assert found.value == pytest.approx(((0.70 - 0.80) + (0.70 - 0.80)) / 2)
    assert math.isnan(found.low)
    three = measure_regret(np.array([[0.5, 0.5, 0.5], [0.6, 0.7, 0.8]]), 0)
    assert three is not None
    assert three.value == pytest.approx(0.2)
    error = 4.3027 * 0.1 / math.sqrt(3)  # the gaps are .1, .2 and .3; Student's quantile at 2 degrees
    assert (three.low, three.high) == (
        pytest.approx(0.2 - error, abs=1e-5),
        pytest.approx(0.2 + error, abs=1e-5),
    )
    sure = measure_regret(np.array([[0.5, 0.5, 0.5], [0.6, 0.7, 0.8]]), 0, confidence=0.5)
    assert sure is not None
    assert sure.high - 0.2 == pytest.approx(0.8165 * 0.1 / math.sqrt(3), abs=1e-5)
    assert measure_regret(trained[:, :1], 0) is None
    assert measure_regret(np.array([[NONE, 0.8], [0.9, 0.9]]), 0) is None
    best = measure_regret(np.array([[0.9, 0.9], [0.5, 0.6]]), 0)
    assert best is not None
    assert best.value == 0


def test_deviation_and_means_over_seeds() -> None:
    trained = np.array([[0.4, 0.6], [0.5, NONE], [0.7, 0.7], [NONE, NONE]])
    assert measure_seed_deviation(trained) == pytest.approx(math.sqrt((0.1**2 * 2) / 2))
    assert measure_seed_deviation(trained[:, :1]) is None
    np.testing.assert_allclose(average_seeds(trained), [0.5, 0.5, 0.7, NONE])
