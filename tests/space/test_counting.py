"""Counts: formula against enumeration, and the figures of the paper's space."""

from __future__ import annotations

import numpy as np
import pytest

from pnas_sim.errors import SettingError
from pnas_sim.space import CellSpace

PAPER = CellSpace()
UNIQUE = (136, 31_620, 10_979_688, 5_194_395_866, 3_147_356_952_080)


def test_unique_cells_of_the_papers_space() -> None:
    assert tuple(PAPER.count_unique(blocks) for blocks in range(1, 6)) == UNIQUE


def test_raw_and_half_ordered_rows_of_the_papers_space() -> None:
    assert [PAPER.count_raw(blocks) for blocks in (1, 2, 3)] == [256, 147_456, 150_994_944]
    assert PAPER.count_raw(5) == 556_627_761_561_600
    half_ordered = [PAPER.count_half_ordered(blocks) for blocks in (1, 2, 3, 4)]
    assert half_ordered == [136, 40_800, 21_542_400, 17_664_768_000]


@pytest.mark.parametrize(
    ("operations", "unique"), [(1, (3, 15, 97)), (2, (10, 165, 3_840)), (3, (21, 735, 37_303))]
)
def test_unique_cells_of_small_spaces(operations: int, unique: tuple[int, ...]) -> None:
    space = CellSpace(tuple("abc"[:operations]), max_blocks=3)
    assert tuple(space.count_unique(blocks) for blocks in (1, 2, 3)) == unique


@pytest.mark.parametrize(("operations", "blocks"), [(1, 5), (2, 4), (3, 3), (5, 2)])
def test_formula_against_enumeration(operations: int, blocks: int) -> None:
    space = CellSpace(tuple("abcde"[:operations]), max_blocks=blocks)
    cells = space.initial()
    for _ in range(blocks - 1):
        children = space.canonical(space.expand(cells).cells)
        cells = children[space.unique(children)[0]]
    assert len(cells) == space.count_unique(blocks)


def test_unique_cells_of_ten_blocks() -> None:
    assert CellSpace(max_blocks=10).count_unique(10) == 3_324_691_154_364_681_493_701_971_396


def test_the_papers_space_enumerated_to_three_blocks() -> None:
    """Every parent's every child made canonical; distinct ones counted by an exact 30-bit key each."""
    space = CellSpace(max_blocks=3)
    pairs = space.canonical(space.expand(space.initial()).cells)
    pairs = pairs[space.unique(pairs)[0]]
    keys = [pack(space.canonical(space.expand(part).cells)) for part in np.array_split(pairs, 60)]
    together = np.concatenate(keys)
    assert len(together) == UNIQUE[1] * 528
    together.sort()
    distinct = 1 + int(np.count_nonzero(together[1:] != together[:-1]))
    assert (len(space.initial()), len(pairs), distinct) == UNIQUE[:3]


def pack(cells: np.ndarray) -> np.ndarray:
    """One number a row of three blocks: inputs below 4 in two bits, operations below 8 in three."""
    assert (cells < np.array([4, 4, 8, 8] * 3)).all()
    key = np.zeros(len(cells), np.uint32)
    for column, bits in zip(cells.T, [2, 2, 3, 3] * 3, strict=True):
        key = (key << np.uint32(bits)) | column
    return key


@pytest.mark.parametrize("blocks", [0, -1, 6])
def test_sizes_outside_the_space_are_refused(blocks: int) -> None:
    for count in (PAPER.count_raw, PAPER.count_half_ordered, PAPER.count_unique):
        with pytest.raises(
            SettingError, match=rf"cells of {blocks} blocks; this space holds those of 1 to 5"
        ):
            count(blocks)
