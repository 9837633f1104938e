from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.errors import SettingError
from pnas_tables.scale import SCALES, FlooredLogit, NormalScores, fit_scale, read_scale

CHANCE = 0.1


@pytest.mark.parametrize("kind", SCALES)
@settings(deadline=None, max_examples=60)
@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=200))
def test_a_scale_keeps_the_order_and_its_inverse(kind: str, values: list[float]) -> None:
    accuracies = np.array(values)
    fitted = fit_scale(kind, accuracies, CHANCE)
    scale = read_scale(json.loads(json.dumps(fitted.as_json(), allow_nan=False)))
    grid = np.linspace(-6, 6, 101)
    back = scale.to_accuracies(grid)
    assert ((back >= 0) & (back <= 1)).all() and (np.diff(back) >= 0).all()
    assert (np.diff(scale.to_scores(np.linspace(0, 1, 101))) >= 0).all()
    bounded = np.clip(accuracies, 0.13, 0.999) if kind == "logit" else accuracies
    np.testing.assert_allclose(scale.to_accuracies(scale.to_scores(bounded)), bounded, atol=1e-9)
    np.testing.assert_array_equal(scale.to_scores(grid), fitted.to_scores(grid))


@pytest.mark.parametrize("kind", SCALES)
def test_scores_of_the_fitted_values_are_standard(kind: str) -> None:
    accuracies = np.random.default_rng(0).beta(5, 2, 2000) * 0.8 + 0.15
    scores = fit_scale(kind, accuracies, CHANCE).to_scores(accuracies)
    assert abs(scores.mean()) < 0.02 and scores.std() == pytest.approx(1, abs=0.03)


def test_normal_scores_are_the_normal_quantiles_of_ranks() -> None:
    from scipy.special import ndtri

    accuracies = np.array([0.3, 0.9, 0.5, 0.4])
    scores = NormalScores.fit(accuracies).to_scores(accuracies)
    np.testing.assert_allclose(scores, ndtri([0.125, 0.875, 0.625, 0.375]))


def test_equal_accuracies_have_the_mean_of_their_scores() -> None:
    """Three in ten at chance: else these would all score as the worst of them."""
    accuracies = np.concatenate([np.full(300, 0.1), np.linspace(0.3, 0.6, 700)])
    scores = NormalScores.fit(accuracies).to_scores(accuracies)
    assert abs(scores.mean()) < 0.02 and 0.9 < scores.std() < 1.0
    assert scores[0] == pytest.approx(-1.16, abs=0.03)


def test_beyond_its_knots_a_scale_goes_on_with_the_slope_of_their_outer_tenth() -> None:
    places = np.arange(20.0)
    scale = NormalScores(places, 0.1 + 0.001 * places**2)  # a tenth of 20 knots: two steps
    low, high = 0.001 * (2**2 - 0) / 2, 0.001 * (19**2 - 17**2) / 2
    found = scale.to_accuracies(np.array([-3.0, 0.0, 19.0, 21.0]))
    np.testing.assert_allclose(found, [0.1 - 3 * low, 0.1, 0.461, 0.461 + 2 * high])
    inverse = scale.to_scores(np.array([0.1 - 3 * low, 0.461 + 2 * high]))
    np.testing.assert_allclose(inverse, [-3.0, 21.0])


def test_the_floor_is_guessing_and_no_prediction_falls_below() -> None:
    scale = FlooredLogit.fit(np.array([0.4, 0.5]), CHANCE)
    assert scale.to_accuracies(np.array([-1e9, 1e9])) == pytest.approx([CHANCE, 1.0])
    low = scale.to_scores(np.array([0.0, 0.05, 0.1, 0.11]))
    assert np.ptp(low) == 0 and np.isfinite(low).all()


@pytest.mark.parametrize("floor", [0.0, 0.1, 0.5])
def test_what_lies_below_a_fiftieth_of_the_way_from_guessing_to_1_counts_as_that(floor: float) -> None:
    scale = FlooredLogit.fit(np.array([floor + 0.2, floor + 0.3]), floor)
    least = floor + 0.02 * (1 - floor)
    assert scale.to_accuracies(scale.to_scores(np.array([0.0, floor, least - 1e-4]))) == pytest.approx(least)
    above = np.array([least, least + 1e-4])
    assert scale.to_accuracies(scale.to_scores(above)) == pytest.approx(above)


def test_logits_of_the_fitted_values_have_deviation_1_whatever_their_number() -> None:
    for count in (2, 3, 50):
        accuracies = np.linspace(0.3, 0.6, count)
        scores = FlooredLogit.fit(accuracies, CHANCE).to_scores(accuracies)
        assert (scores.mean(), scores.std()) == (pytest.approx(0, abs=1e-12), pytest.approx(1))


def test_equal_accuracies_have_a_scale_too() -> None:
    for kind in SCALES:
        scale = fit_scale(kind, np.full(9, 0.4), CHANCE)
        assert scale.to_accuracies(scale.to_scores(np.array([0.4])))[0] == pytest.approx(0.4)


def test_other_kinds_are_refused() -> None:
    with pytest.raises(SettingError, match="scale is 'raw'; it must be one of: normal, logit"):
        fit_scale("raw", np.array([0.5]), CHANCE)
