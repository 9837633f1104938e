"""The friendly face of a row."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from pnas_sim.errors import CellError
from pnas_sim.report.picture import picture_cell
from pnas_sim.space import Block, Cell, CellSpace

SPACE = CellSpace(max_blocks=4)
TEXT = "max3(-1)+id(-1) | sep3(1)+id(1) | id(1)+sep5(2)"


def test_blocks_read_as_the_text_does() -> None:
    cell = Cell.parse(TEXT, SPACE)
    assert cell.text == TEXT
    assert cell.blocks == (Block(-1, -1, "max3", "id"), Block(1, 1, "sep3", "id"), Block(1, 2, "id", "sep5"))


def test_row_and_cell_are_inverse() -> None:
    for row in SPACE.sample(20, np.random.default_rng(0), unique=False):
        np.testing.assert_array_equal(SPACE.cell(row).row, row)
        assert SPACE.cell(row).text == SPACE.format(row)


def test_uses_and_unused_inputs() -> None:
    cell = Cell.parse(TEXT, SPACE)
    assert [cell.count_uses(number) for number in (-2, -1, 1, 2, 3)] == [0, 2, 3, 1, 0]
    assert cell.unused_inputs == (-2,)
    assert Cell.parse("id(-2)+id(-1)", SPACE).unused_inputs == ()


def test_equal_cells_are_equal_and_hash_equal() -> None:
    one, two = Cell.parse(TEXT, SPACE), Cell.parse(TEXT, CellSpace(max_blocks=4))
    assert one == two
    assert hash(one) == hash(two)
    assert one != Cell.parse(TEXT, CellSpace(max_blocks=5))
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.tokens = ()  # type: ignore[misc]


def test_canonical_is_the_spaces() -> None:
    cell = Cell.parse(TEXT, SPACE).canonical()
    assert cell.text == SPACE.canonical_text(TEXT) != TEXT
    assert cell.canonical() == cell


def test_a_wrong_text_is_refused() -> None:
    with pytest.raises(CellError, match="unknown operation 'nope'"):
        Cell.parse("nope(-1)+id(-1)", SPACE)
    with pytest.raises(CellError, match="give the text first, then the space"):
        Cell.parse(SPACE, TEXT)  # type: ignore[arg-type]


def test_printing_shows_the_text_alone() -> None:
    cell = Cell.parse(TEXT, SPACE)
    assert str(cell) == f"{cell}" == TEXT
    assert repr(cell) == f"Cell('{TEXT}')"
    assert [str(block) for block in cell.blocks] == TEXT.split(" | ")


def test_notebooks_show_the_picture() -> None:
    cell = Cell.parse(TEXT, SPACE)
    assert cell._repr_svg_() == picture_cell(cell)


def test_blocks_make_a_cell() -> None:
    cell = Cell.parse(TEXT, SPACE)
    assert Cell.from_blocks(cell.blocks, SPACE) == cell
    assert Cell.from_blocks([(-1, -2, "id", "sep3")], SPACE).text == "id(-1)+sep3(-2)"


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([], "block 1 is empty"),
        ([Block(1, -1, "id", "id")], "input 1 of block 1"),
        ([(-1, -1, "id", "nope")], "unknown operation 'nope'"),
        ([(-1, -1, "id")], "give \\(input1, input2, op1, op2\\) for each"),
        (7, "blocks are 7"),
        ([(-1, -1, "id", "id")] * 5, "at most 4"),
    ],
)
def test_blocks_of_no_cell_are_refused(blocks: Any, message: str) -> None:
    with pytest.raises(CellError, match=message):
        Cell.from_blocks(blocks, SPACE)
