"""Random cells and random changes of cells."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import SettingError
from pnas_sim.space.arrays import Rows
from pnas_sim.space.canonical import encode_blocks, find_canonical, rank_last_block, to_rows
from pnas_sim.space.counting import count_half_ordered, count_unique
from pnas_sim.space.expansion import list_half_ordered_blocks
from pnas_sim.space.rows import PAD, TOKENS_PER_BLOCK, count_blocks, is_whole, token_limits

_FEWEST_DRAWS = 256
_MOST_DRAWS = 1 << 17


def read_stream(rng: np.random.Generator | int) -> np.random.Generator:
    """The generator given, or that of a seed.

    Raises:
        SettingError: it is neither; nothing is drawn without a seed.
    """
    if isinstance(rng, np.random.Generator):
        return rng
    if not is_whole(rng) or rng < 0:
        raise SettingError(
            f"rng is {rng!r}; give a numpy.random.Generator, or a seed, a whole number of at least 0"
        )
    return np.random.default_rng(rng)


def sample_raw(n: int, blocks: int, width: int, operations: int, rng: np.random.Generator) -> Rows:
    """Rows drawn uniformly from all raw rows of some blocks, `uint8[n, width]`: every token by itself."""
    cells = np.full((n, width), PAD, np.uint8)
    limits = token_limits(blocks, operations).ravel()
    cells[:, : TOKENS_PER_BLOCK * blocks] = rng.integers(0, limits, (n, len(limits)))
    return cells


def sample_unique(n: int, blocks: int, width: int, operations: int, rng: np.random.Generator) -> Rows:
    """Canonical rows drawn uniformly and independently, `uint8[n, width]`.

    Rows with half-ordered blocks are drawn uniformly and kept where they are canonical: every cell has
    exactly one such row. The share kept is known exactly (15% of the paper's five-block rows, 0.14% at ten),
    so draws come in pieces of the right size.
    """
    share = count_unique(blocks, operations) / count_half_ordered(blocks, operations)
    kept: list[Rows] = [np.empty((0, width), np.uint8)]
    missing = n
    while missing > 0:
        wanted = missing / share
        draws = max(_FEWEST_DRAWS, math.ceil(wanted + 3 * math.sqrt(wanted)))
        found = _draw_canonical(min(draws, _MOST_DRAWS), blocks, width, operations, rng)
        kept.append(found[:missing])
        missing -= len(found)
    return np.concatenate(kept)


def _draw_canonical(draws: int, blocks: int, width: int, operations: int, rng: np.random.Generator) -> Rows:
    """The canonical ones among `draws` half-ordered rows.

    The first blocks of a canonical row are canonical themselves, so a row is given up at the first block that
    spoils it, and its further blocks need not be drawn.
    """
    tokens = np.empty((0, TOKENS_PER_BLOCK, draws), np.uint8)
    had_ties = np.zeros(draws, np.bool_)
    for size in range(1, blocks + 1):
        choices = list_half_ordered_blocks(size + 1, operations)
        drawn = choices[rng.integers(0, len(choices), tokens.shape[2], dtype=np.uint32)]
        tokens = np.concatenate([tokens, drawn.T[None]])
        smaller, tied = rank_last_block(tokens, encode_blocks(tokens, operations))
        keep = np.flatnonzero(~smaller)
        tokens, had_ties = tokens[:, :, keep], (had_ties | tied)[keep]
        keep = np.flatnonzero(~_improves(tokens, had_ties, operations))
        tokens, had_ties = tokens[:, :, keep], had_ties[keep]
    cells = np.full((tokens.shape[2], width), PAD, np.uint8)
    cells[:, : TOKENS_PER_BLOCK * blocks] = to_rows(tokens)
    return cells


def _improves(tokens: NDArray[np.uint8], doubtful: NDArray[np.bool_], operations: int) -> NDArray[np.bool_]:
    """Which of the doubtful rows are not canonical, `bool[n]`; the others are known to be."""
    improves = np.zeros(tokens.shape[2], np.bool_)
    where = np.flatnonzero(doubtful)
    rows = np.ascontiguousarray(to_rows(tokens[:, :, where]))
    improves[where] = (find_canonical(rows, operations) != rows).any(axis=1)
    return improves


def mutate_cells(cells: Rows, operations: int, rng: np.random.Generator) -> Rows:
    """Canonical rows of cells with one token changed, `uint8[n, width]`.

    One input or operation of a cell, chosen uniformly, is set to one of its other values, chosen uniformly;
    drawn again where the cell stays the same. That ends: setting an input of the first block from -2 to -1 or
    back changes how often the cell reads -2, so every cell has a change that counts. Inputs are among the
    blocks numbered before in the row: one from a later block, where that could come first, takes several
    mutations.
    """
    both = np.concatenate([cells, _change_one_token(cells, operations, rng)])
    canonical = find_canonical(both, operations)  # few rows cost as much as many
    before, after = canonical[: len(cells)], canonical[len(cells) :]
    left = np.flatnonzero((after == before).all(axis=1))
    while len(left):
        after[left] = find_canonical(_change_one_token(cells[left], operations, rng), operations)
        left = left[(after[left] == before[left]).all(axis=1)]
    return after


def _change_one_token(cells: Rows, operations: int, rng: np.random.Generator) -> Rows:
    changed = cells.copy()
    tokens = 4 if operations > 1 else 2  # the only operation there is cannot be changed
    block, token = np.divmod(rng.integers(0, tokens * count_blocks(cells)), tokens)
    limits = token_limits(cells.shape[1] // TOKENS_PER_BLOCK, operations)[block, token]
    row, column = np.arange(len(cells)), TOKENS_PER_BLOCK * block + token
    value = rng.integers(0, limits - 1)
    changed[row, column] = value + (value >= cells[row, column])
    return changed
