"""Cells as rows of small integers: tokens, widths, checks, hashes and exact distinct rows.

A set of cells is `uint8[n, 4 * max_blocks]`: per block I1, I2, O1, O2, and `PAD` after the last block.
Inputs: 0 is the output of the cell before the previous one (H^{c-2}), 1 that of the previous one (H^{c-1}),
k + 1 that of block k (k from 1), so block b reads inputs 0..b (section 3.1 of the paper). Operations: the
position in the space's list.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import CellError
from pnas_sim.space.arrays import Rows

PAD = 255
INPUT_BEFORE_PREVIOUS = 0
INPUT_PREVIOUS = 1
TOKENS_PER_BLOCK = 4
MOST_BLOCKS = 10
MOST_OPERATIONS = 254  # tokens are bytes and 255 is the padding

_TOKEN_NAMES = ("first input", "second input", "first operation", "second operation")
_PAD_BLOCK = np.uint32(0xFFFFFFFF)


def as_rows(cells: Any, width: int) -> Rows:
    """The same rows as `uint8[n, width]`, copied only if they are of another integer type.

    Raises:
        CellError: not a two-dimensional array of integers from 0 to 255 with `width` columns.
    """
    rows = np.asarray(cells)
    if rows.ndim != 2 or rows.shape[1] != width:
        raise CellError(
            f"cells of shape {rows.shape}; this space takes [n, {width}]; fit_width converts others"
        )
    return as_bytes(rows)


def as_bytes(rows: NDArray[Any]) -> Rows:
    """The same integers as `uint8`, refusing what a byte cannot hold."""
    if rows.dtype == np.uint8:
        return rows
    if not np.issubdtype(rows.dtype, np.integer):
        raise CellError(f"cells of type {rows.dtype}; tokens are integers (uint8)")
    if rows.size and (rows.min() < 0 or rows.max() > PAD):
        raise CellError(f"cells hold tokens from {rows.min()} to {rows.max()}; tokens lie in 0..{PAD}")
    return rows.astype(np.uint8)


def is_whole(value: object) -> bool:
    """Whether it is a whole number, NumPy's among them; true and false are none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def count_blocks(cells: Rows) -> NDArray[np.int64]:
    """Blocks of each row, `int64[n]`: those whose first input is not padding."""
    filled = cells[:, ::TOKENS_PER_BLOCK] != PAD
    return np.asarray(filled.sum(axis=1, dtype=np.int64))


def resize_rows(cells: Rows, width: int) -> Rows:
    """Rows with padding added or taken away on the right, `uint8[n, width]`.

    Raises:
        CellError: a cell has more blocks than fit.
    """
    if cells.shape[1] <= width:
        wider = np.full((len(cells), width), PAD, np.uint8)
        wider[:, : cells.shape[1]] = cells
        return wider
    too_long = np.flatnonzero((cells[:, width:] != PAD).any(axis=1))
    if len(too_long):
        row = int(too_long[0])
        blocks = int(count_blocks(cells[row : row + 1])[0])
        raise CellError(f"row {row} has {blocks} blocks; at most {width // TOKENS_PER_BLOCK} fit this space")
    return cells[:, :width].copy()


def check_rows(cells: Rows, operations: int) -> None:
    """Checks every token of `uint8[n, width]`.

    Raises:
        CellError: names the first bad row, its token, what it is and the limit.
    """
    most = cells.shape[1] // TOKENS_PER_BLOCK
    blocks = cells.reshape(len(cells), most, TOKENS_PER_BLOCK)
    inside = np.arange(most) < count_blocks(cells)[:, None]
    empty = np.flatnonzero(~inside[:, 0])
    if len(empty):
        raise CellError(f"row {empty[0]} has no blocks; a cell has at least 1")
    limits = token_limits(most, operations).astype(np.uint8)  # as the tokens are: several times as fast
    wrong = np.where(inside[:, :, None], blocks >= limits, blocks != PAD)
    if wrong.any():
        row, block, token = (int(i) for i in np.argwhere(wrong)[0])
        _raise_bad_token(row, block, token, int(blocks[row, block, token]), bool(inside[row, block]), limits)


def token_limits(blocks: int, operations: int) -> NDArray[np.int64]:
    """How many values each token of each block can take, `int64[blocks, 4]`."""
    limits = np.full((blocks, TOKENS_PER_BLOCK), operations, np.int64)
    limits[:, :2] = np.arange(2, blocks + 2)[:, None]
    return limits


def _raise_bad_token(
    row: int, block: int, token: int, value: int, inside: bool, limits: NDArray[np.uint8]
) -> None:
    where = f"row {row}, block {block + 1}: {_TOKEN_NAMES[token]} is {value}"
    if inside:
        raise CellError(f"{where}; it must be from 0 to {limits[block, token] - 1}")
    raise CellError(f"{where}; after the last block every token must be {PAD}")


def hash_rows(cells: Rows) -> NDArray[np.uint64]:
    """A 64-bit hash of each row, `uint64[n]`: an index, never an identity.

    It depends on the tokens alone: neither on padding nor on process, machine or byte order.
    """
    words = np.ascontiguousarray(cells).view("<u4").astype(np.uint32)
    state = np.full(len(cells), 0x9E3779B97F4A7C15, np.uint64)
    for column in words.T:
        state = np.where(column == _PAD_BLOCK, state, _mix(state ^ column))
    return state


def list_keys(cells: Rows) -> list[bytes]:
    """Each row's tokens as bytes: an identity, for sets and dictionaries of rows of one width."""
    if not cells.size:
        return []
    keys: list[bytes] = np.ascontiguousarray(cells).view(f"V{cells.shape[1]}").ravel().tolist()
    return keys


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014): a bijection of 64-bit words."""
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(state ^ (state >> np.uint64(31)))


def find_distinct(cells: Rows, hashes: NDArray[np.uint64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Exactly the distinct rows, in the order of their first occurrence.

    Hashes only bring equal rows together: neighbours are compared token by token, and where different rows
    share a hash the rows themselves are sorted instead.

    Args:
        cells: `uint8[n, width]`.
        hashes: `uint64[n]`, equal for equal rows.

    Returns:
        first (`intp[u]`, ascending): where each distinct row occurs first; inverse (`intp[n]`): which of them
        row i is.
    """
    order = np.argsort(hashes, kind="stable")
    new = _starts_run(hashes[order])
    if (_starts_run(cells[order]) & ~new).any():
        order = np.lexsort(cells.T[::-1])
        new = _starts_run(cells[order])
    firsts = order[new]  # stable sorts: the first of a run is its earliest row
    rank = np.empty(len(firsts), np.intp)
    rank[np.argsort(firsts)] = np.arange(len(firsts))
    inverse = np.empty(len(cells), np.intp)
    inverse[order] = rank[np.cumsum(new) - 1]
    return np.sort(firsts), inverse


def _starts_run(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a sorted array's entry (or row) differs from the one before, `bool[n]`."""
    new = np.ones(len(values), np.bool_)
    differs = values[1:] != values[:-1]
    new[1:] = differs.any(axis=1) if differs.ndim == 2 else differs
    return new
