from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.study.lines import choose_points, read_steps


@settings(deadline=None, max_examples=80)
@given(end=st.integers(1, 100_000), most=st.integers(4, 200))
def test_points_rise_from_the_first_model_to_the_last(end: int, most: int) -> None:
    points = choose_points(float(end), True, most)
    assert (np.diff(points) > 0).all()
    assert (points == np.round(points)).all()
    assert len(points) <= most
    assert points[-1] == end
    assert points[0] == 1


@settings(deadline=None, max_examples=60)
@given(end=st.floats(1e-3, 1e9))
def test_points_of_seconds_end_at_the_end(end: float) -> None:
    points = choose_points(end, False, 50)
    assert math.isclose(points[-1], end)
    assert (points > 0).all()
    assert choose_points(0.0, False, 50).tolist() == [0.0]


@settings(deadline=None, max_examples=80)
@given(
    steps=st.lists(st.integers(0, 3), min_size=1, max_size=12),
    at=st.lists(st.integers(0, 40), min_size=1, max_size=8),
)
def test_steps_are_read_as_the_last_model_before(steps: list[int], at: list[int]) -> None:
    positions = np.cumsum(np.array(steps, np.float64))
    values = np.arange(len(steps), dtype=np.float64) / 10
    found = read_steps(values[None], [positions], np.array(at, np.float64))[0]
    for point, value in zip(at, found, strict=True):
        before = [place for place, position in enumerate(positions) if position <= point]
        assert math.isnan(value) if not before else value == values[before[-1]]


def test_runs_that_ended_stay_where_they_ended() -> None:
    values = np.array([[0.1, 0.2, 0.2], [0.3, 0.4, 0.5]])  # the first run had two models
    positions = [np.array([1.0, 2.0]), np.array([1.0, 2.0, 3.0])]
    assert read_steps(values, positions, np.array([3.0])).tolist() == [[0.2], [0.5]]
