from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pnas_sim.study.curves import (
    Kind,
    find_crossing,
    find_crossings,
    find_lasting_crossing,
    follow_levels,
    follow_top,
    stack_curves,
)

Floats = NDArray[np.float64]
ACCURACIES = st.lists(st.one_of(st.integers(0, 20).map(lambda n: n / 20), st.just(math.nan)), max_size=40)


def brute_force(values: Floats, expected: Floats, top: int) -> tuple[list[float], list[float]]:
    """Sorts anew after each model: by value, then the first."""
    observed, free = [], []
    for end in range(1, len(values) + 1):
        known = [place for place in range(end) if not math.isnan(values[place])]
        best = sorted(known, key=lambda place: (-values[place], place))[:top]
        enough = len(best) == top
        observed.append(float(np.mean(values[best])) if enough else math.nan)
        free.append(float(np.mean(expected[best])) if enough else math.nan)
    return observed, free


@settings(deadline=None, max_examples=150)
@given(values=ACCURACIES, top=st.integers(1, 6), seed=st.integers(0, 99))
def test_follow_top_equals_sorting_anew(values: list[float], top: int, seed: int) -> None:
    seen, expected = np.array(values, np.float64), np.random.default_rng(seed).random(len(values))
    curve = follow_top(seen, expected, top)
    observed, free = brute_force(seen, expected, top)
    np.testing.assert_allclose(curve.observed, observed, atol=1e-12)
    np.testing.assert_allclose(curve.expected, free, atol=1e-12)


@settings(deadline=None, max_examples=50)
@given(values=ACCURACIES, top=st.integers(1, 6))
def test_observed_never_falls(values: list[float], top: int) -> None:
    curve = follow_top(np.array(values, np.float64), np.array(values, np.float64), top).observed
    known = curve[~np.isnan(curve)]
    assert (np.diff(known) >= 0).all()


@settings(deadline=None, max_examples=80)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=5), top=st.integers(1, 4), seed=st.integers(0, 99)
)
def test_follow_levels_equals_each_level_alone(sizes: list[int], top: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    blocks = np.repeat(np.arange(1, len(sizes) + 1), sizes)
    values, expected = rng.random(len(blocks)), rng.random(len(blocks))
    curve = follow_levels(values, expected, blocks, top)
    if max(sizes) < top:
        np.testing.assert_array_equal(curve.observed, follow_top(values, expected, top).observed)
        return
    last: tuple[float, float] = (math.nan, math.nan)
    for place, level in enumerate(blocks):
        mine = (blocks == level) & (np.arange(len(blocks)) <= place)
        if mine.sum() >= top:
            best = np.flatnonzero(mine)[np.argsort(-values[mine], kind="stable")[:top]]
            last = float(values[best].mean()), float(expected[best].mean())
        np.testing.assert_allclose((curve.observed[place], curve.expected[place]), last, atol=1e-12)


def test_unknown_expected_value_stays_unknown() -> None:
    values, expected = np.array([0.1, 0.2, 0.3]), np.array([0.1, math.nan, 0.3])
    blocks = np.array([1, 2, 2])
    np.testing.assert_array_equal(follow_levels(values, expected, blocks, 1).expected, expected)
    np.testing.assert_array_equal(follow_top(values, expected, 1).expected, expected)


def test_expected_may_fall_where_a_lucky_cell_displaces_a_better_one() -> None:
    curve = follow_top(np.array([0.5, 0.6]), np.array([0.5, 0.4]), 1)
    assert curve.read(Kind.OBSERVED).tolist() == [0.5, 0.6]
    assert curve.read(Kind.EXPECTED).tolist() == [0.5, 0.4]


def test_stacked_curves_stay_where_they_ended() -> None:
    curves = [np.array([0.1, 0.2]), np.array([0.3, 0.4, 0.5])]
    assert stack_curves(curves).tolist() == [[0.1, 0.2, 0.2], [0.3, 0.4, 0.5]]
    assert stack_curves(curves, 1).tolist() == [[0.1], [0.3]]
    assert stack_curves(curves, 4)[:, 3].tolist() == [0.2, 0.5]


@settings(deadline=None, max_examples=80)
@given(values=st.lists(st.integers(0, 9), min_size=1, max_size=20), target=st.integers(0, 10))
def test_crossing_is_the_first_model_that_reaches_it(values: list[int], target: int) -> None:
    curve = np.array(values, np.float64)
    naive = next((n for n, value in enumerate(values, start=1) if value >= target), math.inf)
    assert find_crossing(curve, target) == naive
    targets = np.array([target, target], np.float64)
    assert find_crossings(np.stack([curve, curve]), targets).tolist() == [naive, naive]
    lasting = [n for n in range(1, len(values) + 1) if min(values[n - 1 :]) >= target]
    assert find_lasting_crossing(curve, target) == (lasting[0] if lasting else math.inf)


def test_unknown_beginning_reaches_nothing() -> None:
    curve = np.array([math.nan, 0.5])
    assert find_crossing(curve, 0.1) == find_lasting_crossing(curve, 0.1) == 2
    assert find_crossings(curve[None], np.array([0.1])) == [2]


def test_a_mean_that_is_equal_but_for_rounding_is_reached() -> None:
    target = 0.1 + 0.2
    curve = np.array([0.3])
    assert curve[0] < target
    assert find_crossing(curve, target) == find_lasting_crossing(curve, target) == 1
    assert find_crossings(curve[None], np.array([target])) == [1]
