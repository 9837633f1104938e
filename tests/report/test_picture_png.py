from __future__ import annotations

import sys
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.image import imread
from matplotlib.path import Path as Curve

from pnas_sim.errors import SettingError
from pnas_sim.report.picture import picture_cell
from pnas_sim.report.picture_png import SCALE, read_path, render_png
from pnas_sim.space import KNOWN_CELLS, Cell, CellSpace

SPACE = CellSpace(max_blocks=10)


def read(data: bytes) -> np.ndarray:
    return imread(BytesIO(data))


def test_it_is_as_large_as_the_svg_and_the_same_twice() -> None:
    cell = Cell.parse(KNOWN_CELLS["PNASNet-5"], SPACE)
    data = render_png(cell)
    assert data == render_png(cell)
    head = picture_cell(cell).split("viewBox=")[1].split('"')[1].split()
    assert read(data).shape == (SCALE * int(head[3]), SCALE * int(head[2]), 4)


def test_colours_are_where_the_drawing_puts_them() -> None:
    picture = read(render_png(Cell.parse("sep3(-2)+max3(-1)", SPACE)))
    height, width, _ = picture.shape
    colours = {
        tuple((255 * picture[row, column, :3]).round().astype(int)) for row, column in _grid(height, width)
    }
    assert {(255, 255, 255), (0x1F, 0x29, 0x33), (0xDB, 0xE9, 0xFB), (0xDC, 0xF3, 0xE4)} <= colours
    assert picture[0, 0, 3] == 0  # round corners
    assert tuple((255 * picture[height // 2, 4, :3]).round().astype(int)) == (255, 255, 255)


def _grid(height: int, width: int) -> list[tuple[int, int]]:
    return [(row, column) for row in range(0, height, 3) for column in range(0, width, 3)]


def test_unread_inputs_and_unknown_operations_are_drawn() -> None:
    read_one = render_png(Cell.parse("id(-1)+id(-1)", SPACE))
    read_both = render_png(Cell.parse("id(-2)+id(-1)", SPACE))
    assert read_one != read_both
    space = CellSpace(operations=("swish", "id"), max_blocks=1)
    assert read(render_png(Cell.parse("swish(-1)+id(-2)", space))).shape[2] == 4


@settings(max_examples=5, deadline=None)
@given(blocks=st.integers(1, 10), seed=st.integers(0, 2**32))
def test_every_cell_can_be_drawn(blocks: int, seed: int) -> None:
    row = SPACE.sample(1, np.random.default_rng(seed), blocks=blocks)[0]
    picture = read(render_png(Cell.of_row(row, SPACE)))
    assert picture[..., :3].min() < 0.3


def test_paths_are_read_as_they_are_written() -> None:
    path = read_path("M1.0 2.0 C3.0 -4.5 5.0 6.0 7.0 8.0 V9.0 Q1.0 1.0 2.0 2.0")
    assert path.vertices.tolist() == [[1, 2], [3, -4.5], [5, 6], [7, 8], [7, 9], [1, 1], [2, 2]]
    kinds = [Curve.MOVETO, *[Curve.CURVE4] * 3, Curve.LINETO, *[Curve.CURVE3] * 2]
    assert path.codes.tolist() == [int(kind) for kind in kinds]


def test_missing_matplotlib_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(SettingError, match=r"pnas-sim\[plot\]"):
        render_png(Cell.parse("id(-1)+id(-1)", SPACE))
