"""Cells as people give them to a table: texts, names, `Cell` objects, token rows.

A text and a `Cell` name their operations and mean the same cell everywhere; a token is only a position in one
space's list of operations, so rows of numbers are read in the table's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import CellError
from pnas_sim.space import Cell, CellSpace
from pnas_sim.space.arrays import Rows

Cells: TypeAlias = "str | Cell | Iterable[str | Cell] | NDArray[np.integer[Any]]"

_REMEDY = "give texts or Cells, or token rows as one NumPy array of integers"


def read_cells(cells: Cells, space: CellSpace) -> Rows:
    """Canonical rows of cells in any form, `uint8[n, space.width]`, in their order.

    Args:
        cells: a text, a published cell's name or a `Cell` of any space (by the names of its operations), or
            several; or an integer array of token rows, `[n, width]` or one `[width]`, of any width and
            canonical or not, whose operations are positions in `space.operations`.
        space: the table's, or one of larger cells.

    Raises:
        CellError: one is not a cell of the space, or there are numbers outside an integer array.
    """
    if isinstance(cells, np.ndarray) and cells.dtype.kind in "iu":
        rows = space.fit_width(np.atleast_2d(cells))
    else:
        rows = space.parse_many(_list_texts(cells))
    return space.canonical(rows)


def _list_texts(cells: Any) -> list[str]:
    if isinstance(cells, str | Cell):
        return [_as_text(cells, "cells are")]
    try:
        given = list(cells)
    except TypeError:
        raise CellError(f"cells are {show_value(cells)}; {_REMEDY}") from None
    return [_as_text(cell, f"cell {place} is") for place, cell in enumerate(given)]


def _as_text(cell: Any, where: str) -> str:
    if isinstance(cell, Cell):
        return cell.text
    if isinstance(cell, str):
        return cell
    raise CellError(f"{where} {show_value(cell)}; {_REMEDY}")


def show_value(value: Any) -> str:
    """A value as an error's one line names it."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
