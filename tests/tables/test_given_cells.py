from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pnas_sim.errors import CellError
from pnas_sim.space import Cell, CellSpace
from pnas_tables.given_cells import read_cells, show_value

TEXTS = ["sep3(-1)+id(-2) | max3(1)+id(-1)", "id(-2)+sep3(-1)"]
OTHER = CellSpace(operations=("max3", "fly", "id", "sep3"), max_blocks=7)


@pytest.fixture(scope="module")
def rows(space: CellSpace) -> np.ndarray:
    return space.canonical(space.parse_many(TEXTS))


@pytest.mark.parametrize(
    "give",
    [
        lambda space: TEXTS,
        lambda space: tuple(TEXTS),
        lambda space: iter(TEXTS),
        lambda space: np.array(TEXTS),
        lambda space: np.array(TEXTS, object),
        lambda space: pd.Series(TEXTS, index=[5, 3]),
        lambda space: [Cell.parse(text, space) for text in TEXTS],
        lambda space: [Cell.parse(text, OTHER) for text in TEXTS],
        lambda space: [TEXTS[0], Cell.parse(TEXTS[1], OTHER).canonical()],
        lambda space: space.parse_many(TEXTS),
        lambda space: space.parse_many(TEXTS).astype(np.int64),
        lambda space: CellSpace(max_blocks=8).parse_many(TEXTS),
    ],
)
def test_every_form_gives_the_same_canonical_rows(
    give: Callable[[CellSpace], Any], space: CellSpace, rows: np.ndarray
) -> None:
    read = read_cells(give(space), space)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, rows)


@pytest.mark.parametrize(
    "give",
    [
        lambda space: TEXTS[0],
        lambda space: np.str_(TEXTS[0]),
        lambda space: Cell.parse(TEXTS[0], OTHER),
        lambda space: space.parse(TEXTS[0]),
    ],
)
def test_one_alone_is_one_cell(give: Callable[[CellSpace], Any], space: CellSpace, rows: np.ndarray) -> None:
    np.testing.assert_array_equal(read_cells(give(space), space), rows[:1])


@pytest.mark.parametrize("none", [[], (), np.zeros((0, 12), np.uint8), np.array([], object)])
def test_none_are_no_rows(none: Any, space: CellSpace) -> None:
    assert read_cells(none, space).shape == (0, space.width)


def test_a_cell_keeps_its_operations_where_a_row_keeps_its_tokens(space: CellSpace) -> None:
    cell = Cell.parse("max3(-1)+max3(-1)", OTHER)
    assert space.format_many(read_cells(cell, space)) == ["max3(-1)+max3(-1)"]
    assert space.format_many(read_cells(cell.row, space)) == ["sep3(-1)+sep3(-1)"]


@pytest.mark.parametrize("name", ["PNASNet-2", " pnasnet-2 "])
def test_published_cells_have_names(name: str, space: CellSpace) -> None:
    text = space.canonical_text("sep7(-1)+sep3(-1) | max3(-1)+sep5(-1)")
    assert space.format_many(read_cells([name, TEXTS[0]], space))[0] == text


@pytest.mark.parametrize(
    ("cells", "complaint"),
    [
        ([1, 0, 0, 4], "cell 0 is 1; give texts or Cells, or token rows as one NumPy array of integers"),
        ([[1, 0, 0, 4]], "cell 0 is [1, 0, 0, 4]; give texts or Cells"),
        ([TEXTS[0], None], "cell 1 is None; give texts"),
        (list(np.zeros((2, 4), np.uint8)), "cell 0 is array([0, 0, 0, 0], dtype=uint8); give texts"),
        (np.zeros((1, 4)), "cell 0 is array([0., 0., 0., 0.]); give texts"),
        (np.array([True, False]), "cell 0 is np.True_; give texts"),
        (pd.Series([1, 2]), "cell 0 is 1; give texts"),
        (7, "cells are 7; give texts"),
        (None, "cells are None; give texts"),
        (np.array(7), "cells of shape (1, 1); rows have 4 tokens a block"),
        (np.zeros((1, 2, 4), np.uint8), "cells of shape (1, 2, 4); rows have 4 tokens a block"),
        (np.array([0, 0, 0, 8]), "row 0, block 1: second operation is 8; it must be from 0 to 7"),
        (np.array([0, 0, 0, -1]), "cells hold tokens from -1 to 0"),
        ("sep3", "unknown cell 'sep3'"),
        (Cell.parse("fly(-1)+id(-1)", OTHER), "unknown operation 'fly'"),
        (Cell.parse(" | ".join(["id(-1)+id(-1)"] * 4), OTHER), "a cell of 4 blocks"),
    ],
)
def test_what_is_no_cell_is_named(cells: Any, complaint: str, space: CellSpace) -> None:
    with pytest.raises(CellError) as caught:
        read_cells(cells, space)
    assert complaint in str(caught.value) and "\n" not in str(caught.value)


def test_values_are_shown_on_one_short_line() -> None:
    assert show_value("a\nb") == r"'a\nb'" and show_value(3) == "3"
    shown = show_value(np.arange(1000).reshape(10, 100))
    assert len(shown) == 60 and shown.endswith("...") and "\n" not in shown
