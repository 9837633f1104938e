from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from markupsafe import Markup

from pnas_sim.report.pages.charts import (
    COLOURS,
    HEIGHT,
    ROW,
    WIDTH,
    Axis,
    Interval,
    Line,
    draw_dots,
    draw_intervals,
    draw_lines,
)
from pnas_sim.report.pages.scales import Scale

X = Axis(label="models <&>", scale=Scale(0, 100))
Y = Axis(label='accuracy "%"', scale=Scale(0, 1))
NAME = "<script>&\"'"


def parse(drawing: Markup) -> ElementTree.Element:
    return ElementTree.fromstring(drawing)


def list_paths(drawing: Markup, kind: str) -> list[str]:
    found = parse(drawing).iter("path")
    return [path.attrib["d"] for path in found if kind in path.attrib["class"].split()]


def draw_each() -> list[Markup]:
    lines = [Line(at=[0, 50, 100], values=[0, 1, 0.5], low=[0, 0.5, 0], high=[0.5, 1, 1], style=8)]
    return [
        draw_lines(NAME, lines, X, Y),
        draw_dots(NAME, [(1.0, 0.5)], X, Y),
        draw_intervals(NAME, [Interval(label=NAME * 9, value=1.0, low=0.5, high=2.0, mark=3.0)], X, 1.0),
    ]


@pytest.mark.parametrize("number", range(3))
def test_a_chart_is_whole_named_and_the_same_twice(number: int) -> None:
    drawing = draw_each()[number]
    assert drawing == draw_each()[number]
    root = parse(drawing)
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == NAME
    assert root.findtext("title") == NAME
    assert "<script" not in drawing
    assert not [one for one in root.iter() if "id" in one.attrib]
    assert root.attrib["viewBox"].startswith(f"0 0 {WIDTH} ")


def test_points_stand_where_the_axes_say() -> None:
    drawing = draw_lines("t", [Line(at=[0, 100], values=[0, 1], style=0)], X, Y)
    assert list_paths(drawing, "line") == ["M0 186L278 0"]
    steps = draw_lines("t", [Line(at=[0, 100], values=[0, 1], style=0, steps=True)], X, Y)
    assert list_paths(steps, "line") == ["M0 186H278V0"]
    assert HEIGHT - 38 - 8 == 186


def test_unknown_points_are_left_out_and_near_ones_thinned() -> None:
    values = [math.nan, 0.5, 0.5, math.inf, 1.0]
    drawing = draw_lines("t", [Line(at=[0, 10, 10.1, 50, 50.1], values=values, style=0)], X, Y)
    (path,) = list_paths(drawing, "line")
    assert path == "M27.8 93L139.3 0"
    nothing = draw_lines("t", [Line(at=[], values=[], style=0)], X, Y)
    assert list_paths(nothing, "line") == []
    many = Line(at=[place / 100 for place in range(10_001)], values=[0.5] * 10_001, style=0)
    (path,) = list_paths(draw_lines("t", [many], X, Y), "line")
    assert path.count("L") < 278 / 0.6
    assert path.endswith("L278 93")


def test_far_points_are_cut_off_at_numbers_that_browsers_can_draw() -> None:
    drawing = draw_lines("t", [Line(at=[-1e9, 100], values=[1e12, 1], style=0)], X, Y)
    assert list_paths(drawing, "line") == ["M-10000 -10000L278 0"]


def test_styles_go_round_with_other_dashes() -> None:
    lines = [Line(at=[0, 9], values=[0, 1], style=style) for style in (0, COLOURS)]
    paths = parse(draw_lines("t", lines, X, Y)).iter("path")
    found = [path for path in paths if "line" in path.attrib["class"]]
    assert [path.attrib["class"] for path in found] == ["line s0", "line s0"]
    assert ["stroke-dasharray" in path.attrib for path in found] == [False, True]


def test_dots_have_the_line_of_equals_where_axes_meet() -> None:
    same = Axis(label="same", scale=Scale(50, 200))
    (line,) = list_paths(draw_dots("t", [(60.0, 70.0)], X, same), "equal")
    assert line == "M139 186L278 124"
    apart = Axis(label="", scale=Scale(150, 300))
    assert list_paths(draw_dots("t", [(60.0, 200.0)], X, apart), "equal") == []


def test_intervals_show_what_is_known() -> None:
    rows = [
        Interval(label="whole", value=50.0, low=20.0, high=80.0),
        Interval(label="not reached", value=90.0, low=90.0, high=90.0, open=True),
        Interval(label="nothing", value=None),
    ]
    drawing = draw_intervals("t", rows, X)
    assert len(list(parse(drawing).iter("circle"))) == 1
    assert len(list_paths(drawing, "span")) == 2
    assert len(list_paths(drawing, "dot")) == 1
    assert float(re.findall(r'viewBox="0 0 \d+ (\d+)"', drawing)[0]) == 8 + 3 * ROW + 38
