"""The friendly face of a row."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pnas_sim.errors import CellError
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
