"""What near cells share of the effects that a model does not know: a random field over cells.

Where a small space was trained whole, what a surrogate of a tenth of it does not know of a cell is to some
part known of its neighbours (`bench/kinship.py`): errors of two cells go together the more, the fewer tokens
they differ in. Effects that are drawn for each cell by itself do not, and a search that looks near good cells
finds less in such a world than in truth.

The field is a sum of hashed features. Each sees a random part of the tokens of a canonical row, and what it
adds is a number that is fixed by what it sees. Two cells that differ in d tokens look the same to about
`SEEN_ALIKE ** d` of the features, and that is the field's correlation between them; at d = 0 it is 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from pnas_sim.noise import Keys, mix_keys, text_code, unit_noise
from pnas_sim.space import PAD
from pnas_sim.space.arrays import Floats, Rows

FEATURES = 64
SEEN_ALIKE = 0.65  # of the features, by two cells that differ in one token
SHARE = 0.95  # of the variance of a cell's effect, that is of the field
CHUNK = 20_000  # cells at a time, for memory


def share_effects(field: Floats, own: Floats) -> Floats:
    """Standard normal deviates of cells, `float64[n]`: in part of the field, in part each cell's own."""
    return np.asarray(np.sqrt(SHARE) * field + np.sqrt(1 - SHARE) * own, np.float64)


def draw_field(operations: Sequence[str], cells: Rows, world: int) -> Floats:
    """Standard normal deviates of canonical rows, `float64[n]`, alike where cells are.

    They depend on what a cell's text says and the world alone, not on the row's width or its padding.

    Args:
        operations: of the rows' space.
        cells: `uint8[n, width]`.
        world: whose field it is.
    """
    codes = _code_tokens(tuple(operations), cells.shape[1])
    columns = np.arange(cells.shape[1])
    found = np.empty(len(cells))
    for begin in range(0, len(cells), CHUNK):
        chunk = slice(begin, begin + CHUNK)
        found[chunk] = _add_up(codes[columns, cells[chunk]], world)
    return found


@lru_cache(maxsize=16)
def _code_tokens(operations: tuple[str, ...], width: int) -> Keys:
    """A number for each token in each column, `uint64[width, 256]`; 0 for no token."""
    names = np.zeros(256, np.uint64)
    names[: len(operations)] = [text_code(name) for name in operations]
    inputs = np.arange(256, dtype=np.uint64)
    codes = np.empty((width, 256), np.uint64)
    for column in range(width):
        place = np.full(256, text_code(f"token {column}"), np.uint64)
        codes[column] = mix_keys(place, inputs if column % 4 < 2 else names)
    codes[:, PAD] = 0
    return codes


def _add_up(codes: Keys, world: int) -> Floats:
    """The features' sum, of mean 0 and deviation 1: of so many uniform numbers all but normal."""
    seen = codes @ _choose_seen(codes.shape[1])  # sums wrap around, as they must
    uniform = unit_noise(mix_keys(seen, _find_salts(world)))
    return np.asarray((uniform.sum(axis=1) - FEATURES / 2) / np.sqrt(FEATURES / 12), np.float64)


@lru_cache(maxsize=16)
def _find_salts(world: int) -> Keys:
    """What makes each feature another one in each world, `uint64[FEATURES]`."""
    return np.array([text_code(f"kin {world} {feature}") for feature in range(FEATURES)], np.uint64)


@lru_cache(maxsize=16)
def _choose_seen(width: int) -> Keys:
    """Which columns each feature sees, 1 or 0, `uint64[width, FEATURES]`."""
    keys = np.array(
        [[text_code(f"seen {column} {feature}") for feature in range(FEATURES)] for column in range(width)],
        np.uint64,
    )
    return (unit_noise(keys) > SEEN_ALIKE).astype(np.uint64)
