"""Charts as SVG text, coloured by the page's style sheet, so that they follow light, dark and print.

Everything is inside one `<svg>` without ids, so that any number of charts share a page; the same figures give
the same text. Values outside the axes are cut off by an inner `<svg>`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pnas_sim.report.pages.scales import Scale, choose_format

WIDTH, HEIGHT = 340, 232  # of a chart, in pixels where it is not scaled
LEFT, RIGHT, TOP, BOTTOM = 50, 12, 8, 38  # around the plot
COLOURS = 7  # of the style sheet: classes s0 to s6
DASHES = ("", "6 3", "2 2", "8 2 2 2")
NEAR = 0.6  # pixels; points nearer than this to the last one drawn are left out
ROW, LABEL = 22, 128  # of a chart of intervals: height of a row, width of its label
LETTERS = 20  # of such a label


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One side of a chart.

    Attributes:
        label: what is along it.
        scale: where its values stand.
    """

    label: str
    scale: Scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A curve and its band.

    Attributes:
        at: along x, ascending.
        values: along y, as many.
        style: its number.
        low: lower edge of the band, as many; empty for none.
        high: upper edge.
        steps: it stays level between points.
        faint: its band is hardly there, as where there are many.
    """

    at: Sequence[float]
    values: Sequence[float]
    style: int
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    steps: bool = False
    faint: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A row of a chart of intervals.

    Attributes:
        label: its name.
        value: where the dot stands; None for none.
        low: the interval's lower end; None for none.
        high: its upper end.
        mark: another value, drawn as a stroke; None for none.
        open: there is no upper end: an arrow stands at `high`, or at the value.
    """

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    mark: float | None = None
    open: bool = False


def draw_lines(title: str, lines: Sequence[Line], x: Axis, y: Axis) -> Markup:
    """Curves with their bands."""
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    bands = [_draw_band(line, x.scale, y.scale) for line in lines if line.low]
    strokes = [_draw_curve(line, x.scale, y.scale) for line in lines]
    return _frame(title, x, y, [*bands, *strokes], width, height)


def draw_dots(title: str, dots: Sequence[tuple[float, float]], x: Axis, y: Axis) -> Markup:
    """Dots and, where both axes have the same unit, the line on which they are equal."""
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    ends = (max(x.scale.low, y.scale.low), min(x.scale.high, y.scale.high))
    equal = [(x.scale.place(end) * width, (1 - y.scale.place(end)) * height) for end in ends]
    diagonal = f'<path class="equal" d="{_join(equal)}"/>' if ends[0] < ends[1] else ""
    places = [(x.scale.place(a) * width, (1 - y.scale.place(b)) * height) for a, b in dots]
    spots = "".join(f"M{_write(a)} {_write(b)}h0" for a, b in places)
    return _frame(title, x, y, [diagonal, f'<path class="dots" d="{spots}"/>'], width, height)


def draw_intervals(title: str, rows: Sequence[Interval], x: Axis, reference: float | None = None) -> Markup:
    """A dot and an interval a row; a line at `reference` through all of them."""
    width, height = WIDTH - LABEL - RIGHT, ROW * len(rows)
    inside = []
    if reference is not None and 0 <= x.scale.place(reference) <= 1:
        inside.append(
            _stroke("equal", x.scale.place(reference) * width, 0, x.scale.place(reference) * width, height)
        )
    for number, row in enumerate(rows):
        inside.extend(_draw_interval(row, x.scale, width, (number + 0.5) * ROW))
    labels = Markup("").join(
        Markup('<text class="name" x="{}" y="{}" text-anchor="end">{}<title>{}</title></text>').format(
            LABEL - 8, _write(TOP + (number + 0.5) * ROW + 4), _shorten(row.label), row.label
        )
        for number, row in enumerate(rows)
    )
    plot = _plot(inside, LABEL, width, height)
    ticks = Markup("".join(_draw_x_ticks(x, LABEL, width, height)))
    return _wrap(title, ticks + labels + plot, TOP + height + BOTTOM)


def _shorten(label: str) -> str:
    return label if len(label) <= LETTERS else f"{label[: LETTERS - 1]}…"


def _draw_interval(row: Interval, scale: Scale, width: float, y: float) -> Iterator[str]:
    def place(value: float) -> float:
        return scale.place(value) * width

    end = row.high if row.high is not None else row.value
    if row.low is not None and end is not None:
        yield _stroke("span", place(row.low), y, place(end), y)
    if row.value is not None and not (row.open and end == row.value):
        yield f'<circle class="dot" cx="{_write(place(row.value))}" cy="{_write(y)}" r="4"/>'
    if row.open and end is not None:
        x = place(end)
        yield f'<path class="dot" d="{_join([(x - 4, y - 5), (x + 4, y), (x - 4, y + 5)])}Z"/>'
    if row.mark is not None:
        yield _stroke("mark", place(row.mark), y - 8, place(row.mark), y + 8)


def _frame(title: str, x: Axis, y: Axis, inside: Sequence[str], width: float, height: float) -> Markup:
    """Axes around a plot."""
    ticks = [*_draw_x_ticks(x, LEFT, width, height), *_draw_y_ticks(y, width, height)]
    name = Markup(
        '<text class="name" transform="translate(11 {}) rotate(-90)" text-anchor="middle">{}</text>'
    )
    label = name.format(_write(TOP + height / 2), y.label)
    return _wrap(title, Markup("".join(ticks)) + label + _plot(inside, LEFT, width, height), HEIGHT)


def _wrap(title: str, content: Markup, height: float) -> Markup:
    head = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}"><title>{}</title>')
    return head.format(WIDTH, _write(height), title, title) + content + Markup("</svg>")


def _plot(inside: Sequence[str], left: float, width: float, height: float) -> Markup:
    """What lies between the axes; what lies outside is cut off."""
    size = f'width="{_write(width)}" height="{_write(height)}"'
    box = f'<rect class="box" x="{_write(left)}" y="{TOP}" {size}/>'
    return Markup(f'<svg x="{_write(left)}" y="{TOP}" {size}>{"".join(inside)}</svg>{box}')


def _draw_x_ticks(axis: Axis, left: float, width: float, height: float) -> Iterator[str]:
    ticks = axis.scale.list_ticks()
    write = choose_format(ticks)
    for tick in ticks:
        at = left + axis.scale.place(tick) * width
        yield _stroke("grid", at, TOP, at, TOP + height)
        where = f'x="{_write(at)}" y="{_write(TOP + height + 14)}"'
        yield f'<text {where} text-anchor="middle">{write(tick)}</text>'
    name = Markup('<text class="name" x="{}" y="{}" text-anchor="middle">{}</text>')
    yield name.format(_write(left + width / 2), _write(TOP + height + 31), axis.label)


def _draw_y_ticks(axis: Axis, width: float, height: float) -> Iterator[str]:
    ticks = axis.scale.list_ticks()
    write = choose_format(ticks)
    for tick in ticks:
        at = TOP + (1 - axis.scale.place(tick)) * height
        yield _stroke("grid", LEFT, at, LEFT + width, at)
        yield f'<text x="{LEFT - 5}" y="{_write(at + 4)}" text-anchor="end">{write(tick)}</text>'


def _stroke(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<path class="{kind}" d="{_join([(x1, y1), (x2, y2)])}"/>'


def _draw_curve(line: Line, x: Scale, y: Scale) -> str:
    points = _thin(_place(line.at, line.values, x, y))
    path = _step(points) if line.steps else _join(points)
    dash = DASHES[line.style // COLOURS % len(DASHES)]
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<path class="line s{line.style % COLOURS}"{dashes} d="{path}"/>' if path else ""


def _draw_band(line: Line, x: Scale, y: Scale) -> str:
    over = _thin(_place(line.at, line.high, x, y))
    under = _thin(_place(line.at, line.low, x, y))
    if not over or not under:
        return ""
    faint = " faint" if line.faint else ""
    return f'<path class="band s{line.style % COLOURS}{faint}" d="{_join([*over, *reversed(under)])}Z"/>'


def _place(at: Sequence[float], values: Sequence[float], x: Scale, y: Scale) -> list[tuple[float, float]]:
    """Pixels of those points that are known."""
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    return [
        (x.place(a) * width, (1 - y.place(b)) * height)
        for a, b in zip(at, values, strict=True)
        if math.isfinite(a) and math.isfinite(b)
    ]


def _thin(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Without points that nobody could tell from the one drawn before; the last one stays."""
    kept: list[tuple[float, float]] = []
    for point in points:
        if not kept or math.dist(point, kept[-1]) >= NEAR or point is points[-1]:
            kept.append(point)
    return kept


def _join(points: Sequence[tuple[float, float]]) -> str:
    return "".join(f"{'L' if number else 'M'}{_write(a)} {_write(b)}" for number, (a, b) in enumerate(points))


def _step(points: Sequence[tuple[float, float]]) -> str:
    head = "".join(f"M{_write(a)} {_write(b)}" for a, b in points[:1])
    return head + "".join(f"H{_write(a)}V{_write(b)}" for a, b in points[1:])


def _write(value: float) -> str:
    """A number of pixels, as short as a tenth allows; one far outside is cut, as browsers stumble on it."""
    text = f"{min(max(value, -1e4), 1e4):.1f}".removesuffix(".0")
    return "0" if text == "-0" else text
