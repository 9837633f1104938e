"""Cells of one space in another that shares its operations: how tables serve each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pnas_sim.space import PAD, CellSpace
from pnas_tables.figures import is_complete
from pnas_tables.record import Table, join_words, take_cells
from pnas_tables.sample import DRAWN, SUBSPACE


def contains(space: CellSpace, other: CellSpace) -> bool:
    """Whether every cell of `other` is one of `space`."""
    return set(other.operations) <= set(space.operations) and other.max_blocks <= space.max_blocks


def fit_space(table: Table, space: CellSpace) -> Table:
    """Those cells of a table that lie in a space, with their runs, in the space's tokens.

    Operations are mapped by name. Cells that come from a smaller space were not drawn from this one: where
    their origin says `all-1`, `uniform` or `raw` it becomes `subspace`. Surrogates are left behind.
    """
    if table.space == space:
        return table
    kept = take_cells(table, np.flatnonzero(_lie_in(table, space)))
    texts = table.space.format_many(kept.cells)
    cells = space.canonical(space.parse_many(texts)) if len(kept) else space.initial()[:0]
    smaller = not contains(table.space, space)
    origins = tuple(_rename(origin) for origin in kept.origins) if smaller else kept.origins
    fitted = replace(kept, space=space, closed=False, cells=cells, origins=origins, surrogates={})
    return replace(fitted, closed=is_complete(fitted))


def _lie_in(table: Table, space: CellSpace) -> NDArray[np.bool_]:
    """Which cells of the table are small enough and have no other operations, `bool[n]`."""
    allowed = np.array([name in space.operations for name in table.space.operations])
    blocks = table.cells.reshape(len(table), -1, 4)
    operations = blocks[:, :, 2:]
    there = operations != PAD
    known = allowed[np.where(there, operations, 0)] | ~there
    few = there[:, :, 0].sum(axis=1) <= space.max_blocks
    return np.asarray(known.all(axis=(1, 2)) & few)


def _rename(origin: str) -> str:
    words = origin.split("+")
    return join_words(SUBSPACE if word in DRAWN or word.startswith("all-") else word for word in words)


def find_widest(spaces: Sequence[CellSpace]) -> CellSpace:
    """The first space that contains all others; the first one if none does."""
    for space in spaces:
        if all(contains(space, other) for other in spaces):
            return space
    return spaces[0]
