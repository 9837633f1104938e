from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.report.drawing import ASCII, LANE, UNICODE, Strokes, choose_strokes, draw_cell
from pnas_sim.space import KNOWN_CELLS, Cell, CellSpace

SPACE = CellSpace(max_blocks=10)

PNASNET_5 = """\
 -2 -1  1  2  3  4  5
  O  |                 1 = sep5(-2) + max3(-2)
  |  O  |              2 = sep7(-1) + max3(-1)
  |  O  |  |           3 = sep5(-1) + sep3(-1)
  |  o  |  |  o        4 = sep3(3) + max3(-1)
  o  o  |  |  |  |     5 = sep3(-2) + id(-1)
        `--+--+--+--+  concatenated: the output"""


def test_the_papers_cell() -> None:
    assert "\n".join(draw_cell(Cell.parse(KNOWN_CELLS["PNASNet-5"], SPACE), ASCII)) == PNASNET_5


def test_unused_inputs_join_the_output() -> None:
    lines = draw_cell(Cell.parse("sep3(-1)+sep3(-1) | id(1)+id(1)", SPACE), ASCII)
    assert lines[1:] == [
        "  |  O        1 = sep3(-1) + sep3(-1)",
        "  |     O     2 = id(1) + id(1)",
        "  `-----+--+  concatenated: the output",
    ]


@pytest.mark.parametrize("strokes", [UNICODE, ASCII])
@settings(max_examples=40, deadline=None)
@given(blocks=st.integers(1, 10), seed=st.integers(0, 2**32))
def test_marks_count_every_reading(strokes: Strokes, blocks: int, seed: int) -> None:
    row = SPACE.sample(1, np.random.default_rng(seed), blocks=blocks)[0]
    cell = Cell.of_row(row, SPACE)
    heading, *rows, output = draw_cell(cell, strokes)
    lanes = LANE * (2 + blocks)
    for place, line in enumerate(rows, 1):
        drawn = line[:lanes]
        assert drawn.count(strokes.once) + 2 * drawn.count(strokes.twice) == 2
        block = cell.blocks[place - 1]
        column = heading.split().index(str(block.input1))
        assert drawn[LANE * (column + 1) - 1] in (strokes.once, strokes.twice)
    joined = blocks + len(cell.unused_inputs)
    assert output[:lanes].count(strokes.join) == joined - 1
    assert len(heading) == lanes


def test_pipes_that_know_no_lines_get_ascii() -> None:
    assert choose_strokes("utf-8") is UNICODE
    assert choose_strokes("ascii") is ASCII
    assert choose_strokes("latin-1") is ASCII
    assert choose_strokes(None) is ASCII
    assert choose_strokes("no-such-encoding") is ASCII
