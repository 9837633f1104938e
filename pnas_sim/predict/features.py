"""What the feature predictors see of a cell: shares of operations by what they read, and its shape.

Everything here is the same for every row of a cell (order of halves, numbering of blocks), and mostly
relative to the cell's size, so that a model fitted on small cells has something to say about larger ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_sim.predict.data import Tokens, block_tokens
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Rows

Marks: TypeAlias = NDArray[np.bool_]

INPUT_KINDS = 3  # H^{c-2}, H^{c-1}, a block of the same cell


@dataclass(frozen=True, slots=True)
class Wiring:
    """The tokens of n cells, taken apart.

    Attributes:
        inputs: `int64[n, max_blocks, 2]`; 0 where there is no block.
        operations: `int64[n, max_blocks, 2]`; 0 where there is no block.
        present: `bool[n, max_blocks]`, which blocks there are.
        size: `int64[n]`, their number.
    """

    inputs: Tokens
    operations: Tokens
    present: Marks
    size: NDArray[np.int64]


def read_wiring(space: CellSpace, cells: Rows) -> Wiring:
    """Takes rows (`uint8[n, width]`) apart."""
    tokens, present = block_tokens(space, cells)
    return Wiring(tokens[:, :, :2], tokens[:, :, 2:], present, present.sum(axis=1))


def count_reads(space: CellSpace, wiring: Wiring) -> NDArray[np.int64]:
    """Counts each operation by the kind of its input, `int64[n, 3, operations]`; 2b in all a cell."""
    kinds = len(space.operations)
    width = INPUT_KINDS * kinds
    column = np.minimum(wiring.inputs, INPUT_KINDS - 1) * kinds + wiring.operations
    place = column + np.arange(len(column))[:, None, None] * width
    counted = np.bincount(place[wiring.present].ravel(), minlength=len(column) * width)
    return counted.reshape(len(column), INPUT_KINDS, kinds)


def count_uses(wiring: Wiring) -> NDArray[np.int64]:
    """Counts how often each cell input and each block is read, `int64[n, max_blocks + 2]`."""
    places = np.arange(wiring.inputs.shape[1] + 2)
    read = (wiring.inputs[..., None] == places) & wiring.present[:, :, None, None]
    uses: NDArray[np.int64] = read.sum(axis=(1, 2))
    return uses


def measure_depths(wiring: Wiring) -> NDArray[np.int64]:
    """Measures the longest path to each block, in operations, `int64[n, max_blocks]`; 0 for no block."""
    count, blocks, _ = wiring.inputs.shape
    rows = np.arange(count)
    depths = np.zeros((count, blocks + 2), np.int64)
    for block in range(blocks):
        deepest = np.maximum(*(depths[rows, wiring.inputs[:, block, half]] for half in (0, 1)))
        depths[:, block + 2] = (deepest + 1) * wiring.present[:, block]
    return depths[:, 2:]


def describe_shares(space: CellSpace, cells: Rows) -> Floats:
    """Describes cells by their operations' shares, by what these read: `float64[n, 3 * operations]`."""
    wiring = read_wiring(space, cells)
    counts = count_reads(space, wiring).reshape(len(cells), INPUT_KINDS * len(space.operations))
    shares: Floats = counts / (2 * wiring.size[:, None])
    return shares


def describe_shape(space: CellSpace, cells: Rows) -> Floats:
    """Describes cells by `describe_shares`, operations' shares whatever they read, and their wiring.

    Wiring: blocks; depth, mean depth, loose ends and width of the output, each over the blocks; whether
    either cell input is unused; shares of blocks with one operation twice, with one input twice; different
    operations.

    Returns:
        `float64[n, 4 * operations + 10]`.
    """
    wiring = read_wiring(space, cells)
    reads = count_reads(space, wiring) / (2 * wiring.size[:, None, None])
    uses, depths = count_uses(wiring), measure_depths(wiring)
    loose = ((uses[:, 2:] == 0) & wiring.present).sum(axis=1)
    unused = uses[:, :2] == 0
    twice = [(what[:, :, 0] == what[:, :, 1]) & wiring.present for what in (wiring.operations, wiring.inputs)]
    columns = [
        wiring.size,
        depths.max(axis=1) / wiring.size,
        depths.sum(axis=1) / wiring.size**2,
        loose / wiring.size,
        (wiring.size + unused.sum(axis=1)) / wiring.size,
        *unused.T,
        *(same.sum(axis=1) / wiring.size for same in twice),
        (reads.sum(axis=1) > 0).sum(axis=1),
    ]
    by_input = reads.reshape(len(cells), INPUT_KINDS * len(space.operations))
    return np.column_stack([by_input, reads.sum(axis=1), *columns])
