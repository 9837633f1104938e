"""Checks and orders what a predictor is fitted on, and reads rows as tokens."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import CellError, SettingError
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Rows

Tokens: TypeAlias = NDArray[np.int64]

TOKENS_PER_BLOCK = 4  # I1, I2, O1, O2: the paper's reading order


def check_fit_data(space: CellSpace, cells: Rows, accuracies: Floats) -> tuple[Rows, Floats]:
    """Returns the cells and accuracies to fit on, sorted, so that the order of telling does not matter.

    Failed children and children without an accuracy are the caller's to leave out: a predictor cannot tell
    what they would have meant.

    Args:
        space: the space the cells belong to.
        cells: `uint8[n, width]`, n at least 1.
        accuracies: `float[n]` in [0, 1].

    Returns:
        The rows (`uint8[n, width]`) and accuracies (`float64[n]`), in lexicographic order of rows, then of
        accuracies.

    Raises:
        CellError: a row outside the space.
        SettingError: lengths that differ, no cell at all, or an accuracy that is not a number in [0, 1].
    """
    space.validate(cells)
    rows, values = space.fit_width(cells), _read_accuracies(accuracies)
    if values.shape != (len(cells),):
        raise SettingError(f"{len(cells)} cells, accuracies of shape {values.shape}: give one a cell")
    if not len(rows):
        raise SettingError("0 cells to fit on: give at least 1")
    if not np.isfinite(values).all():
        count = int((~np.isfinite(values)).sum())
        raise SettingError(f"{count} of {len(values)} accuracies are not finite: leave failed children out")
    if values.min() < 0 or values.max() > 1:
        raise SettingError(f"accuracies from {values.min():g} to {values.max():g}: give fractions in [0, 1]")
    order = np.lexsort((values, *rows.T[::-1]))
    return rows[order], values[order]


def choose_training_sets(cells: int, members: int, rng: np.random.Generator) -> list[NDArray[np.intp]]:
    """Returns the cells each member of an ensemble is fitted on: all but one of as many folds (section 5.2).

    One member is fitted on everything, and so is a member whose fold is empty (fewer cells than folds) or
    holds everything (one cell).

    Args:
        cells: n.
        members: of the ensemble.
        rng: draws the folds.
    """
    fold = rng.permutation(cells) % members
    kept = [np.flatnonzero(fold != member) for member in range(members)]
    return [chosen if members > 1 and len(chosen) else np.arange(cells) for chosen in kept]


def _read_accuracies(accuracies: Floats) -> Floats:
    try:
        return np.asarray(accuracies, np.float64)
    except (TypeError, ValueError) as error:
        raise SettingError(f"accuracies are no numbers ({error}): give fractions in [0, 1]") from None


def list_new_blocks(space: CellSpace, parents: Rows) -> Rows:
    """Returns the blocks that `space.expand` adds to these parents, in its order: `uint8[k, 4]`.

    Raises:
        CellError: as `space.validate` and `space.expand`: a row outside the space, parents of several sizes,
            or of the space's largest size.
    """
    space.validate(parents)
    if not len(parents):
        return np.empty((0, TOKENS_PER_BLOCK), np.uint8)
    sizes = np.unique(space.block_counts(parents))
    if len(sizes) > 1:
        raise CellError(f"parents of {sizes[0]} to {sizes[-1]} blocks; expand those of one size at a time")
    if sizes[0] == space.max_blocks:
        raise CellError(f"parents of {sizes[0]} blocks cannot be expanded: this space ends there")
    return space.expansion_blocks(int(sizes[0]))


def block_tokens(space: CellSpace, cells: Rows) -> tuple[Tokens, NDArray[np.bool_]]:
    """Returns the tokens of every block (`int64[n, max_blocks, 4]`, padding as 0) and which blocks there are.

    The second is `bool[n, max_blocks]`.
    """
    present = np.arange(space.max_blocks) < space.block_counts(cells)[:, None]
    tokens = cells.reshape(len(cells), space.max_blocks, TOKENS_PER_BLOCK).astype(np.int64)
    return np.where(present[:, :, None], tokens, 0), present


def input_vocabulary(space: CellSpace) -> int:
    """Returns how many inputs a block may read: the last block's max_blocks + 1 choices."""
    return space.max_blocks + 1
