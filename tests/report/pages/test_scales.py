from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.report.pages.scales import MOST_TICKS, Scale, choose_format, span, span_logarithm

values = st.integers(-(10**9), 10**9).map(lambda number: number / 10**4)  # as far apart as figures ever are


@settings(deadline=None, max_examples=200)
@given(found=st.lists(values, min_size=1, max_size=5), logarithmic=st.booleans())
def test_ticks_are_few_ascending_inside_and_told_apart(found: list[float], logarithmic: bool) -> None:
    scale = span_logarithm([abs(value) for value in found]) if logarithmic else span(found)
    ticks = scale.list_ticks()
    assert len(ticks) <= MOST_TICKS
    assert all(before < after for before, after in pairwise(ticks))
    assert all(-1e-6 <= scale.place(tick) <= 1 + 1e-6 for tick in ticks)
    write = choose_format(ticks)
    if max(map(abs, ticks), default=0) < 1e6:
        assert len({write(tick) for tick in ticks}) == len(ticks)


@settings(deadline=None, max_examples=100)
@given(found=st.lists(values, min_size=1, max_size=5))
def test_an_axis_holds_its_values_in_their_order(found: list[float]) -> None:
    places = [span(found).place(value) for value in sorted(found)]
    assert places == sorted(places)
    assert places[0] > 0
    assert places[-1] < 1


def test_nothing_known_has_an_axis_too() -> None:
    assert span([math.nan, math.inf]) == Scale(0.0, 1.0)
    assert span_logarithm([0.0, -1.0, math.nan]) == Scale(1.0, 10.0, True)
    assert Scale(1.0, 100.0, True).place(10.0) == pytest.approx(0.5)
    assert Scale(1.0, 100.0, True).place(0.0) < -100


@pytest.mark.parametrize(
    ("scale", "written"),
    [
        (Scale(0, 1160), ["0", "250", "500", "750", "1,000"]),
        (Scale(0.611, 0.662), ["0.62", "0.64", "0.66"]),
        (Scale(1, 6000, True), ["1", "10", "100", "1,000"]),
        (Scale(0.4, 6, True), ["0.5", "1", "2", "5"]),
        (Scale(9.5e-6, 1.05e-5), ["0.0000096", "0.0000098", "0.0000100", "0.0000102", "0.0000104"]),
        (Scale(0, 3e6), ["0M", "1M", "2M", "3M"]),
    ],
)
def test_ticks_are_written_as_people_do(scale: Scale, written: list[str]) -> None:
    ticks = scale.list_ticks()
    assert [choose_format(ticks)(tick) for tick in ticks] == written
