"""The canonical row of a cell: one row for all ways to write the same cell.

Two rows are the same cell if swapping the halves of blocks and renaming blocks turns one into the other. The
canonical row is the lexicographically smallest, token by token (I1, I2, O1, O2 of the first block, then of
the second, ...), of all rows that write the cell, whatever its blocks' outputs are used for. It follows that
(I1, O1) <= (I2, O2) in every block, that the row depends neither on padding nor on `max_blocks`, and that the
first k blocks of a canonical row are a canonical row themselves.

How it is found: blocks are placed one after the other. At each step every block whose inputs are placed
competes with its tokens under the new names; the smallest wins. Blocks that tie are all followed, each in a
state of its own, and a state that later falls behind another of its row is dropped. Twins (tied blocks whose
exchange leaves the cell as it is) lead to the same rows, so only the first is followed: ten equal blocks are
one state, not 10!.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_sim.space.arrays import Rows
from pnas_sim.space.rows import TOKENS_PER_BLOCK, count_blocks

Codes: TypeAlias = NDArray[np.uint32]
Tokens: TypeAlias = NDArray[np.uint8]  # [blocks, 4, n]: column i is the i-th cell
Mask: TypeAlias = NDArray[np.bool_]

# The name of an input that is not placed yet; the code of a block that reads one exceeds every candidate's.
_UNPLACED = 240
_ROWS_AT_ONCE = 1 << 15  # keeps the arrays of a step in the processor's cache
_MOST_STATES = 1 << 19


def find_canonical(cells: Rows, operations: int) -> Rows:
    """Canonical rows of valid rows, `uint8[n, width]`; block counts may be mixed."""
    canonical = cells.copy()
    counts = count_blocks(cells)
    for blocks in np.unique(counts[counts > 0]):
        members = np.flatnonzero(counts == blocks)
        width = TOKENS_PER_BLOCK * int(blocks)
        for start in range(0, len(members), _ROWS_AT_ONCE):
            part = members[start : start + _ROWS_AT_ONCE]
            tokens = order_halves(to_columns(cells[part, :width]))
            canonical[part, :width] = to_rows(_reorder_blocks(tokens, operations))
    return canonical


def to_columns(cells: Rows) -> Tokens:
    """`uint8[n, 4 * blocks]` as `uint8[blocks, 4, n]`."""
    blocks = cells.shape[1] // TOKENS_PER_BLOCK
    return np.ascontiguousarray(cells.T).reshape(blocks, TOKENS_PER_BLOCK, len(cells))


def to_rows(tokens: Tokens) -> Rows:
    """`uint8[blocks, 4, n]` as `uint8[n, 4 * blocks]`."""
    blocks, _, cells = tokens.shape
    return tokens.reshape(blocks * TOKENS_PER_BLOCK, cells).T


def order_halves(tokens: Tokens) -> Tokens:
    """The same blocks with (I1, O1) <= (I2, O2)."""
    input1, input2, op1, op2 = (tokens[:, i] for i in range(TOKENS_PER_BLOCK))
    swap = (input1 > input2) | ((input1 == input2) & (op1 > op2))
    return np.where(swap[:, None], tokens[:, [1, 0, 3, 2]], tokens)


def encode_blocks(tokens: Tokens, operations: int) -> Codes:
    """One number for each half-ordered block, `uint32[blocks, n]`, in the order of its tokens."""
    input1, input2, op1, op2 = (tokens[:, i].astype(np.uint32) for i in range(TOKENS_PER_BLOCK))
    return np.asarray(((input1 * 16 + input2) * operations + op1) * operations + op2)


def decode_blocks(codes: Codes, operations: int) -> Tokens:
    """The blocks of `encode_blocks`."""
    rest, op2 = np.divmod(codes, np.uint32(operations))
    inputs, op1 = np.divmod(rest, np.uint32(operations))
    return np.stack([inputs >> 4, inputs & 15, op1, op2], axis=1).astype(np.uint8)


def rank_last_block(tokens: Tokens, codes: Codes) -> tuple[Mask, Mask]:
    """Compares the last of some half-ordered blocks with every earlier one in whose place it could stand.

    Args:
        tokens: `uint8[blocks, 4, n]`.
        codes: `uint32[blocks, n]`, of the same blocks.

    Returns:
        smaller (`bool[n]`): it is smaller than one of them, so the row is not canonical; tied (`bool[n]`): it
        equals one of them. A row none of whose blocks is ever smaller or tied is canonical: there is no
        choice on its way.
    """
    last = len(codes) - 1
    smaller = np.zeros(codes.shape[1], np.bool_)
    tied = np.zeros(codes.shape[1], np.bool_)
    for place in range(last):
        fits = tokens[last, 1] <= place + 1  # I2, the larger input; earlier blocks are inputs 2..place + 1
        smaller |= fits & (codes[last] < codes[place])
        tied |= fits & (codes[last] == codes[place])
    return smaller, tied


def _reorder_blocks(tokens: Tokens, operations: int) -> Tokens:
    """Canonical order and names of half-ordered blocks, `uint8[blocks, 4, n]`."""
    codes = encode_blocks(tokens, operations)
    (found,) = _find_unsettled(tokens, codes).nonzero()
    if len(found):
        tokens[:, :, found] = decode_blocks(_place_blocks(tokens[:, :, found], operations), operations)
    return tokens


def _find_unsettled(tokens: Tokens, codes: Codes) -> Mask:
    """Rows with a block that is smaller than an earlier one in whose place it could stand, or equals it.

    The same as `rank_last_block` for every block, in a few steps for all pairs of blocks at once.
    """
    later, earlier = _list_pairs(len(codes))
    fits = tokens[later, 1] <= earlier.astype(np.uint8)[:, None] + np.uint8(1)
    return np.asarray((fits & (codes[later] <= codes[earlier])).any(axis=0))


@lru_cache(maxsize=16)
def _list_pairs(blocks: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Every pair of a later and an earlier block."""
    return np.tril_indices(blocks, -1)


def _place_blocks(tokens: Tokens, operations: int) -> Codes:
    """Codes of the canonical rows' blocks, `uint32[blocks, n]`.

    A state is a column: the written blocks, the inputs' new names so far, and which row it belongs to. States
    stay sorted by row. All states of a row have placed equal codes, so the codes are kept once for each row.
    """
    blocks, _, rows = tokens.shape
    placed = np.empty((blocks, rows), np.uint32)
    row = np.arange(rows)
    names = np.where(tokens[:, :2] < 2, tokens[:, :2], np.uint8(_UNPLACED))
    for step in range(blocks):
        codes = _encode_names(names, tokens, operations)
        placed[step] = _smallest_by_row(codes.min(axis=0), row, rows)
        tied = codes == placed[step][row]
        if len(row) == rows and np.count_nonzero(tied) == rows:  # no ties, as usual: one block for each
            chosen = tied.argmax(axis=0)
        else:
            _drop_twins(tied, tokens)
            state, chosen = np.nonzero(tied.T)
            if len(state) > _MOST_STATES and rows > 1:
                return _place_in_halves(tokens, row, rows, operations)
            row, tokens, names = row[state], tokens[:, :, state], names[:, :, state]
        names[tokens[:, :2] == (chosen + 2).astype(np.uint8)] = step + 2
        names[chosen, :, np.arange(len(chosen))] = _UNPLACED  # a placed block competes no more
    return placed


def _place_in_halves(tokens: Tokens, row: NDArray[np.intp], rows: int, operations: int) -> Codes:
    """Places few rows at a time, where many rows have many states."""
    first = tokens[:, :, np.searchsorted(row, np.arange(rows))]  # the blocks of each row as written
    parts = (first[:, :, : rows // 2], first[:, :, rows // 2 :])
    return np.concatenate([_place_blocks(part, operations) for part in parts], axis=1)


def _encode_names(names: Tokens, tokens: Tokens, operations: int) -> Codes:
    """Codes of all blocks under the new names; those that cannot be placed yet exceed all that can."""
    name1, name2, op1, op2 = names[:, 0], names[:, 1], tokens[:, 2], tokens[:, 3]
    swap = (name1 > name2) | ((name1 == name2) & (op1 > op2))
    inputs = np.minimum(name1, name2).astype(np.uint32) * 16 + np.maximum(name1, name2)
    first = np.where(swap, op2, op1)
    second = op1 ^ op2 ^ first
    return np.asarray((inputs * operations + first) * operations + second)


def _smallest_by_row(codes: Codes, row: NDArray[np.intp], rows: int) -> Codes:
    """The smallest code among each row's states, `uint32[rows]`."""
    if len(row) == rows:
        return codes
    return np.minimum.reduceat(codes, np.searchsorted(row, np.arange(rows)))


def _drop_twins(tied: Mask, tokens: Tokens) -> None:
    """Clears every tied block that is the twin of an earlier tied one, in place (`bool[blocks, states]`)."""
    several = np.flatnonzero(tied.sum(axis=0) > 1)
    if not len(several):
        return
    candidates, cells = tied[:, several], tokens[:, :, several]
    for later in range(1, len(tied)):
        for earlier in range(later):
            both = np.flatnonzero(candidates[later] & candidates[earlier])
            if len(both):
                candidates[later, both] = ~_are_twins(cells[:, :, both], earlier, later)
    tied[:, several] = candidates


def _are_twins(tokens: Tokens, earlier: int, later: int) -> Mask:
    """Whether exchanging two tied blocks leaves every other block as it is, `bool[n]`.

    Tied blocks are equal under the names so far and read only placed blocks, so they are equal. What is left
    are the blocks that read them: each must read both, through the same operation.
    """
    input1, input2 = tokens[:, 0], tokens[:, 1]
    one, other = earlier + 2, later + 2
    reads = (input1 == one) | (input1 == other) | (input2 == one) | (input2 == other)
    reads_both = (np.minimum(input1, input2) == one) & (np.maximum(input1, input2) == other)
    return np.asarray((~reads | (reads_both & (tokens[:, 2] == tokens[:, 3]))).all(axis=0))
