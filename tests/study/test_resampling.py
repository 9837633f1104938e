from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.errors import SettingError
from pnas_sim.study.curves import find_crossing, find_lasting_crossing
from pnas_sim.study.resampling import (
    Resamples,
    censor,
    censor_median,
    draw_resamples,
    estimate_mean,
    find_interval,
    find_median,
    resample_crossings,
    resample_lasting_crossings,
    resample_means,
)


@settings(deadline=None, max_examples=40)
@given(worlds=st.integers(1, 5), seeds=st.integers(1, 4), seed=st.integers(0, 9))
def test_each_draw_is_a_world_and_seeds_of_that_world(worlds: int, seeds: int, seed: int) -> None:
    drawn = draw_resamples(worlds, seeds, 30, seed=seed)
    if worlds * seeds == 1:
        assert len(drawn) == 0
        return
    groups = drawn.places.reshape(30, worlds, seeds) // seeds
    assert (groups == groups[:, :, :1]).all()
    assert drawn.places.min() >= 0
    assert drawn.places.max() < worlds * seeds
    np.testing.assert_allclose(drawn.weights.sum(axis=1), 1)


def test_weights_are_the_means_of_the_drawn() -> None:
    drawn, values = draw_resamples(4, 3, 50), np.random.default_rng(1).random(12)
    np.testing.assert_allclose(drawn.weights @ values, resample_means(values, drawn))


def test_same_seed_draws_the_same() -> None:
    one, again, other = (draw_resamples(3, 2, 20, seed=seed).places for seed in (0, 0, 1))
    assert (one == again).all()
    assert (one != other).any()


def test_interval_of_a_mean_knows_worlds_from_seeds() -> None:
    """Where worlds differ and seeds do not, more seeds must not narrow the interval."""
    effects = np.random.default_rng(0).normal(0, 1, 6)
    widths = []
    for seeds in (1, 20):
        drawn = draw_resamples(6, seeds, 2000)
        found = estimate_mean(np.repeat(effects, seeds), drawn)
        widths.append(found.high - found.low)
    assert widths[1] == pytest.approx(widths[0], rel=0.15)
    assert widths[0] > 0.5


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng, covered = np.random.default_rng(3), 0
    drawn = draw_resamples(30, 1, 400)
    for _ in range(200):
        found = estimate_mean(rng.normal(0.5, 1, 30), drawn)
        covered += found.low <= 0.5 <= found.high
    assert 0.88 <= covered / 200 <= 0.99


def test_interval_ends_are_values_even_beside_infinity() -> None:
    values = np.array([1.0, 2.0, 3.0, math.inf])
    assert find_interval(values, 0.5) == (1.0, math.inf)
    assert find_interval(np.array([math.nan, 4.0]), 0.9) == (4.0, 4.0)
    assert all(math.isnan(end) for end in find_interval(np.zeros(0), 0.9))
    assert find_interval(np.arange(1000.0), 0.95) == (24.0, 975.0)


def test_never_reached_leaves_a_lower_bound_only() -> None:
    found = censor(math.inf, np.array([math.inf] * 40), 0.95, 6000)
    assert (found.value, found.low, found.high, found.reached) == (math.inf, 6000, math.inf, 0)


def test_sometimes_reached_is_no_mean_of_the_finite() -> None:
    resampled = np.array([100.0] * 30 + [math.inf] * 70)
    found = censor(math.inf, resampled, 0.9, 500)
    assert (found.low, found.high, found.reached) == (100, math.inf, 0.3)


@pytest.mark.parametrize(("value", "low"), [(300.0, math.nan), (math.inf, 500.0)])
def test_without_resamples_there_is_no_interval(value: float, low: float) -> None:
    found = censor(value, np.zeros(0), 0.95, 500)
    assert found.low == pytest.approx(low, nan_ok=True)
    assert math.isnan(found.high)
    assert math.isnan(found.reached)


def test_one_run_alone_has_a_mean_and_no_interval() -> None:
    found = estimate_mean(np.array([0.5]), draw_resamples(1, 1))
    assert found.value == 0.5
    assert math.isnan(found.low)
    assert math.isnan(found.high)


@settings(deadline=None, max_examples=60)
@given(values=st.lists(st.one_of(st.integers(0, 9), st.just(math.inf)), min_size=1, max_size=9))
def test_median_is_one_of_the_values(values: list[float]) -> None:
    assert find_median(np.array(values)) == sorted(values)[(len(values) - 1) // 2]


def test_median_of_mostly_unreached_is_not_reached() -> None:
    drawn = draw_resamples(1, 5, 200)
    values = np.array([10.0, 20.0, math.inf, math.inf, math.inf])
    found = censor_median(values, np.full(5, 100.0), drawn)
    assert (found.value, found.bound) == (math.inf, 100)
    assert found.low <= 20
    assert 0 < found.reached < 1


def test_each_run_is_censored_where_it_ended() -> None:
    """That one of three got to 900 says nothing of the two that ended at 200 and 300."""
    values, lengths = np.full(3, math.inf), np.array([200.0, 900.0, 300.0])
    found = censor_median(values, lengths, draw_resamples(1, 3, 200))
    assert (found.value, found.bound, found.low, found.high) == (math.inf, 300, 200, math.inf)
    alone = censor_median(values[:1], lengths[:1], draw_resamples(1, 1))
    assert (alone.bound, alone.low) == (200, 200)


@settings(deadline=None, max_examples=40)
@given(runs=st.integers(2, 5), length=st.integers(1, 30), chunk=st.integers(1, 8), seed=st.integers(0, 99))
def test_crossings_of_resampled_means_equal_one_by_one(runs: int, length: int, chunk: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    curves, drawn = np.round(rng.random((runs, length)), 1), draw_resamples(runs, 1, 12, seed=seed)
    targets = rng.random(12)
    naive = [
        find_crossing(curves[places].mean(axis=0), target)
        for places, target in zip(drawn.places, targets, strict=True)
    ]
    assert resample_crossings(curves, targets, drawn, chunk).tolist() == naive


@settings(deadline=None, max_examples=40)
@given(runs=st.integers(2, 5), length=st.integers(1, 30), chunk=st.integers(1, 8), seed=st.integers(0, 99))
def test_lasting_crossings_equal_one_by_one(runs: int, length: int, chunk: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    curves, drawn = np.round(rng.random((runs, length)), 1), draw_resamples(runs, 1, 12, seed=seed)
    targets = rng.random(12)
    naive = []
    for places, target in zip(drawn.places, targets, strict=True):
        curve = curves[places].mean(axis=0)
        lasting = [n for n in range(1, length + 1) if (curve[n - 1 :] >= target).all()]
        naive.append(lasting[0] if lasting else math.inf)
        assert find_lasting_crossing(curve, target) == naive[-1]
    assert resample_lasting_crossings(curves, targets, drawn, chunk).tolist() == naive


def test_unknown_beginning_is_not_crossed() -> None:
    curves = np.array([[math.nan, 0.4, 0.8], [0.9, 0.9, 0.9]])
    drawn = Resamples(np.array([[0, 0], [0, 1], [1, 1]]), 0.9)
    assert resample_crossings(curves, np.full(3, 0.6), drawn).tolist() == [3, 2, 1]
    worthless = np.array([[math.nan, 0.0], [math.nan, 0.0]])  # to be known and 0 is a change, too
    assert resample_crossings(worthless, np.zeros(3), drawn).tolist() == [2, 2, 2]


@pytest.mark.parametrize(("count", "confidence"), [(0, 0.95), (10, 1.0), (10, 0.0)])
def test_impossible_wishes_are_refused(count: int, confidence: float) -> None:
    with pytest.raises(SettingError, match=r"must be"):
        draw_resamples(2, 2, count, confidence)
