"""Cells of one size without repeats: all of them in a list, or draws without replacement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pnas_sim.space.arrays import Rows

if TYPE_CHECKING:
    from pnas_sim.space.cell_space import CellSpace

MOST_LISTED = 50_000  # cells of a size that are listed whole; the paper's two-block cells are 31,620


def list_cells(space: CellSpace, blocks: int) -> Rows:
    """Every unique cell of so many blocks, as ascending canonical rows: `uint8[count_unique(blocks), width]`.

    The first blocks of a canonical row are one themselves, so every canonical row is among the expansions of
    the canonical rows of one block less, once.
    """
    cells = space.initial()
    for _ in range(1, blocks):
        rows = space.expand(cells).cells
        cells = rows[(space.canonical(rows) == rows).all(axis=1)]
    return cells


def draw_distinct(space: CellSpace, n: int, blocks: int, rng: np.random.Generator) -> Rows:
    """Distinct canonical rows, drawn uniformly without replacement from all of their size: `uint8[n, width]`.

    There must be as many: `n` is at most `space.count_unique(blocks)`.
    """
    if space.count_unique(blocks) > MOST_LISTED:
        return draw_new(space, n, blocks, rng, set())
    every = list_cells(space, blocks)
    return every[rng.choice(len(every), n, replace=False)]


def draw_new(space: CellSpace, n: int, blocks: int, rng: np.random.Generator, drawn: set[bytes]) -> Rows:
    """Draws until there are n cells that were not drawn before, uniformly among those: `uint8[n, width]`.

    A cell drawn before is drawn again, which changes nothing about the others' chances.

    Args:
        space: drawn from.
        n: how many; so many must be left.
        blocks: of each cell.
        rng: where the randomness comes from.
        drawn: keys of the cells drawn before (`space.list_keys`); the new ones are added.
    """
    pieces = [np.empty((0, space.width), np.uint8)]
    while n > 0:
        cells = space.sample(n, rng, blocks=blocks)
        fresh = [_take(key, drawn) for key in space.list_keys(cells)]
        pieces.append(cells[fresh])
        n -= sum(fresh)
    return np.concatenate(pieces)


def _take(key: bytes, drawn: set[bytes]) -> bool:
    """Whether a cell was not drawn before; now it is."""
    before = len(drawn)
    drawn.add(key)
    return len(drawn) > before
