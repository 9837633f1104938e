"""Expansion: how many, in which order, of whose parents."""

from __future__ import annotations

import numpy as np
import pytest

from pnas_sim.errors import CellError, SettingError
from pnas_sim.space import PAD, CellSpace

PAPER = CellSpace()
SMALL = CellSpace(("id", "max3"), max_blocks=3)


def test_the_first_level_is_every_one_block_cell() -> None:
    initial = PAPER.initial()
    assert initial.shape == (136, 20)
    assert (initial[:, 4:] == PAD).all()
    np.testing.assert_array_equal(PAPER.canonical(initial), initial)
    assert len(PAPER.unique(initial)[0]) == 136
    np.testing.assert_array_equal(initial[:, :4], PAPER.expansion_blocks(0))


def test_the_papers_pools() -> None:
    sizes = [len(PAPER.expand(PAPER.initial()))]
    random = np.random.default_rng(0)
    sizes += [len(PAPER.expand(PAPER.sample(256, random, blocks))) for blocks in (2, 3, 4)]
    assert sizes == [40_800, 135_168, 209_920, 301_056]


@pytest.mark.parametrize("blocks", [0, 1, 2])
def test_new_blocks_are_all_the_half_ordered_ones_in_ascending_order(blocks: int) -> None:
    found = SMALL.expansion_blocks(blocks).tolist()
    inputs = range(blocks + 2)
    expected = [
        [i, j, o, p] for i in inputs for j in inputs for o in (0, 1) for p in (0, 1) if (i, o) <= (j, p)
    ]
    assert found == expected == sorted(expected)


def test_rows_are_parents_then_blocks() -> None:
    parents = SMALL.sample(5, np.random.default_rng(1), blocks=2)
    expansion = SMALL.expand(parents)
    blocks = SMALL.expansion_blocks(2)
    assert len(expansion) == len(expansion.cells) == 5 * len(blocks)
    np.testing.assert_array_equal(expansion.parents, np.repeat(np.arange(5), len(blocks)))
    np.testing.assert_array_equal(expansion.cells[:, :8], parents[expansion.parents, :8])
    np.testing.assert_array_equal(expansion.cells[:, 8:12], np.tile(blocks, (5, 1)))
    SMALL.validate(expansion.cells)


def test_expanding_unique_cells_reaches_every_unique_cell() -> None:
    cells = SMALL.initial()
    for blocks in (2, 3):
        children = SMALL.canonical(SMALL.expand(cells).cells)
        cells = children[SMALL.unique(children)[0]]
        assert len(cells) == SMALL.count_unique(blocks)


def test_no_parents_have_no_children() -> None:
    expansion = SMALL.expand(np.empty((0, SMALL.width), np.uint8))
    assert expansion.cells.shape == (0, SMALL.width)
    assert expansion.parents.shape == (0,)


def test_parents_of_several_sizes_are_refused() -> None:
    parents = np.vstack([SMALL.initial(), SMALL.sample(1, np.random.default_rng(0), blocks=2)])
    with pytest.raises(CellError, match="parents of 1 to 2 blocks; expand those of one size at a time"):
        SMALL.expand(parents)


def test_the_largest_cells_are_not_expanded() -> None:
    with pytest.raises(
        CellError, match="parents of 3 blocks cannot be expanded: this space ends at 3 blocks"
    ):
        SMALL.expand(SMALL.sample(2, np.random.default_rng(0)))
    with pytest.raises(SettingError, match="cells of 3 blocks cannot be expanded: from 0 to 2"):
        SMALL.expansion_blocks(3)


def test_the_shared_list_of_blocks_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        SMALL.expansion_blocks(1)[0, 0] = 1
