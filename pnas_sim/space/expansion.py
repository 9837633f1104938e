"""Expansion of cells by one block (section 4.1, Algorithm 1), and the cells a search begins with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import CellError
from pnas_sim.space.arrays import Rows
from pnas_sim.space.rows import PAD, TOKENS_PER_BLOCK, count_blocks


@dataclass(frozen=True, slots=True)
class Expansion:
    """Cells with one more block than their parents.

    Attributes:
        cells: `uint8[m, width]`, the parent's row plus one half-ordered block; neither canonical nor unique.
        parents: `intp[m]`, the index of each one's parent.
    """

    cells: Rows
    parents: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.cells)


@lru_cache(maxsize=64)
def list_half_ordered_blocks(inputs: int, operations: int) -> Rows:
    """Every block over some inputs with (I1, O1) <= (I2, O2), ascending by I1, I2, O1, O2.

    Returns:
        Read-only `uint8[k, 4]` with k = t (t + 1) / 2, t = inputs * operations.
    """
    axes = (inputs, inputs, operations, operations)
    input1, input2, op1, op2 = (axis.ravel() for axis in np.indices(axes, dtype=np.uint8, sparse=False))
    ordered = (input1 < input2) | ((input1 == input2) & (op1 <= op2))
    blocks: Rows = np.stack([input1, input2, op1, op2], axis=1)[ordered]
    blocks.setflags(write=False)
    return blocks


def list_one_block_cells(width: int, operations: int) -> Rows:
    """All canonical one-block cells, ascending, `uint8[k, width]`."""
    blocks = list_half_ordered_blocks(2, operations)
    cells = np.full((len(blocks), width), PAD, np.uint8)
    cells[:, :TOKENS_PER_BLOCK] = blocks
    return cells


def expand_cells(parents: Rows, operations: int) -> Expansion:
    """Every parent with every half-ordered block: parent by parent, blocks in the order of their list.

    Raises:
        CellError: parents of several sizes, or already as large as their rows.
    """
    width = parents.shape[1]
    if len(parents) == 0:
        return Expansion(np.empty((0, width), np.uint8), np.empty(0, np.intp))
    size = _common_size(parents)
    blocks = list_half_ordered_blocks(size + 2, operations)
    cells = np.empty((len(parents), len(blocks), width), np.uint8)
    cells[:] = parents[:, None]
    cells[:, :, TOKENS_PER_BLOCK * size : TOKENS_PER_BLOCK * (size + 1)] = blocks
    return Expansion(cells.reshape(-1, width), np.repeat(np.arange(len(parents)), len(blocks)))


def _common_size(parents: Rows) -> int:
    sizes = np.unique(count_blocks(parents))
    most = parents.shape[1] // TOKENS_PER_BLOCK
    if len(sizes) > 1:
        raise CellError(f"parents of {sizes[0]} to {sizes[-1]} blocks; expand those of one size at a time")
    if sizes[0] >= most:
        raise CellError(f"parents of {sizes[0]} blocks cannot be expanded: this space ends at {most} blocks")
    return int(sizes[0])
