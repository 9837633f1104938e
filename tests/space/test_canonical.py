"""The canonical row: against brute force over all orders, and its laws up to ten blocks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations, product
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.space import CellSpace, canonical
from pnas_sim.space.expansion import list_half_ordered_blocks

WIDE = CellSpace(("id", "sep3", "max3"), max_blocks=10)
SAME = "id(-2)+id(-2)"

# Cells with ties that only later blocks can break, or that nothing can.
TIED_CELLS = {
    "ten equal blocks": [SAME] * 10,
    "six equal blocks with distinct users": [
        *[SAME] * 6,
        "id(1)+sep3(2)",
        "id(3)+max3(4)",
        "sep3(5)+max3(6)",
        "id(-1)+max3(-1)",
    ],
    "a directed ring over equal blocks": [SAME] * 5
    + [f"id({i + 1})+sep3({(i + 1) % 5 + 1})" for i in range(5)],
    "two rings, of three and of two": [
        *[SAME] * 5,
        "id(1)+sep3(2)",
        "id(2)+sep3(3)",
        "id(3)+sep3(1)",
        "id(4)+sep3(5)",
        "id(5)+sep3(4)",
    ],
    "pairs of equal chains": [SAME] * 5 + [f"id({i})+id({i})" for i in range(1, 6)],
    "twins read by one block": [SAME, SAME, "id(1)+id(2)", "id(1)+id(2)", "sep3(3)+id(4)", "sep3(4)+id(3)"],
}


def orders(blocks: list[tuple[int, ...]]) -> Iterator[tuple[int, ...]]:
    """All orders of the blocks in which each comes after those it reads."""
    for order in permutations(range(len(blocks))):
        place = {block + 2: index for index, block in enumerate(order)}
        if all(
            token < 2 or place[token] < place[block + 2] for block in order for token in blocks[block][:2]
        ):
            yield order


def rewrite(blocks: list[tuple[int, ...]], order: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The blocks in another order, with inputs renamed; halves stay as they are."""
    names = {0: 0, 1: 1} | {block + 2: place + 2 for place, block in enumerate(order)}
    return [(names[blocks[i][0]], names[blocks[i][1]], *blocks[i][2:]) for i in order]


def swap(block: tuple[int, ...]) -> tuple[int, ...]:
    return block[1], block[0], block[3], block[2]


def smallest_by_brute_force(row: np.ndarray) -> list[int]:
    blocks = [tuple(block) for block in row.reshape(-1, 4).tolist()]
    written = ([min(block, swap(block)) for block in rewrite(blocks, order)] for order in orders(blocks))
    return [token for block in min(written) for token in block]


def all_rows(space: CellSpace, half_ordered: bool) -> np.ndarray:
    operations = len(space.operations)
    choices = []
    for inputs in range(2, space.max_blocks + 2):
        if half_ordered:
            choices.append(list_half_ordered_blocks(inputs, operations).tolist())
        else:
            sizes = (inputs, inputs, operations, operations)
            choices.append([list(block) for block in product(*map(range, sizes))])
    return np.array(list(product(*choices)), np.uint8).reshape(-1, 4 * space.max_blocks)


@pytest.mark.parametrize(
    ("operations", "blocks", "half_ordered", "unique"),
    [(1, 1, False, 3), (1, 2, False, 15), (1, 3, False, 97), (2, 2, False, 165), (2, 3, True, 3840)],
)
def test_whole_spaces_against_brute_force(
    operations: int, blocks: int, half_ordered: bool, unique: int
) -> None:
    space = CellSpace(tuple("abc"[:operations]), max_blocks=blocks)
    cells = all_rows(space, half_ordered)
    assert len(cells) == (space.count_half_ordered if half_ordered else space.count_raw)(blocks)
    found = space.canonical(cells)
    assert found.tolist() == [smallest_by_brute_force(row) for row in cells]
    assert len(space.unique(found)[0]) == unique


@pytest.mark.parametrize(("operations", "blocks", "cells"), [(1, 4, 600), (2, 5, 150), (1, 6, 30)])
def test_random_cells_against_brute_force(operations: int, blocks: int, cells: int) -> None:
    space = CellSpace(tuple("abc"[:operations]), max_blocks=blocks)
    rows = space.sample(cells, np.random.default_rng(7), unique=False)
    assert space.canonical(rows).tolist() == [smallest_by_brute_force(row) for row in rows]


@pytest.mark.parametrize("texts", TIED_CELLS.values(), ids=TIED_CELLS)
def test_cells_with_ties_have_one_canonical_row(texts: list[str]) -> None:
    blocks = [tuple(block) for block in WIDE.parse(" | ".join(texts)).reshape(-1, 4).tolist()][: len(texts)]
    random = Random(3)
    rewritten = np.array([shuffle(blocks, random) for _ in range(40)], np.uint8)
    cells = WIDE.fit_width(rewritten)
    found = WIDE.canonical(cells)
    assert len(WIDE.unique(found)[0]) == 1
    assert found[0].tolist() <= min(cells.tolist())
    np.testing.assert_array_equal(WIDE.canonical(found), found)


def test_rings_are_told_from_each_other() -> None:
    whole, parted = (" | ".join(TIED_CELLS[name]) for name in list(TIED_CELLS)[2:4])
    assert WIDE.canonical_text(whole) != WIDE.canonical_text(parted)


def test_many_states_are_placed_in_halves_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = WIDE.parse_many([" | ".join(texts) for texts in TIED_CELLS.values()] * 3)
    expected = WIDE.canonical(cells)
    halved: list[int] = []
    place_in_halves = canonical._place_in_halves

    def count_halves(tokens: np.ndarray, row: np.ndarray, rows: int, operations: int) -> np.ndarray:
        halved.append(rows)
        return place_in_halves(tokens, row, rows, operations)

    monkeypatch.setattr(canonical, "_MOST_STATES", 4)
    monkeypatch.setattr(canonical, "_place_in_halves", count_halves)
    np.testing.assert_array_equal(WIDE.canonical(cells), expected)
    assert len(halved) > 1 and min(halved) < max(halved)


def test_pieces_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(5)
    cells = np.vstack([WIDE.sample(40, random, blocks, unique=False) for blocks in (3, 10, 1, 6)])
    random.shuffle(cells)
    expected = WIDE.canonical(cells)
    monkeypatch.setattr(canonical, "_ROWS_AT_ONCE", 7)
    np.testing.assert_array_equal(WIDE.canonical(cells), expected)
    np.testing.assert_array_equal(np.vstack([WIDE.canonical(row[None]) for row in cells]), expected)


def shuffle(blocks: list[tuple[int, ...]], random: Random) -> list[int]:
    """The same cell with its blocks in a random order that respects inputs, and halves swapped at random."""
    order: list[int] = []
    while len(order) < len(blocks):
        ready = [
            i
            for i in range(len(blocks))
            if i not in order and all(token < 2 or token - 2 in order for token in blocks[i][:2])
        ]
        order.append(random.choice(ready))
    written = rewrite(blocks, tuple(order))
    return [token for block in written for token in (swap(block) if random.random() < 0.5 else block)]


@st.composite
def written_cells(draw: st.DrawFn) -> list[tuple[int, ...]]:
    """Blocks of a cell of up to ten, half of them likely to repeat an earlier one."""
    blocks: list[tuple[int, ...]] = []
    for index in range(draw(st.integers(1, 10))):
        if blocks and draw(st.booleans()):
            blocks.append(draw(st.sampled_from(blocks)))
        else:
            inputs, operations = st.integers(0, index + 1), st.integers(0, 2)
            blocks.append(draw(st.tuples(inputs, inputs, operations, operations)))
    return blocks


@pytest.mark.parametrize("blocks", [2, 3])
def test_a_last_block_spoils_a_row_only_if_it_may_stand_before_another(blocks: int) -> None:
    """Rows whose blocks are neither smaller nor tied are canonical; where one is smaller, the row is not."""
    space = CellSpace(("a", "b"), blocks)
    choices = [list_half_ordered_blocks(size + 1, 2) for size in range(1, blocks + 1)]
    draws = np.random.default_rng(0)
    rows = np.hstack([options[draws.integers(0, len(options), 3000)] for options in choices])
    spoilt, doubtful = np.zeros(3000, np.bool_), np.zeros(3000, np.bool_)
    for size in range(2, blocks + 1):
        tokens = canonical.to_columns(rows[:, : 4 * size])
        smaller, tied = canonical.rank_last_block(tokens, canonical.encode_blocks(tokens, 2))
        spoilt, doubtful = spoilt | smaller, doubtful | tied
    whole = (space.canonical(rows) == rows).all(axis=1)
    assert not (whole & spoilt).any()
    assert whole[~spoilt & ~doubtful].all()
    assert 0.1 < spoilt.mean() < 0.9 and doubtful.any()


@settings(deadline=None, max_examples=150)
@given(blocks=written_cells(), random=st.randoms(use_true_random=False))
def test_swaps_and_renamings_leave_the_canonical_row(blocks: list[tuple[int, ...]], random: Random) -> None:
    written = [sum(blocks, ()), shuffle(blocks, random), shuffle(blocks, random)]
    cells = WIDE.fit_width(np.array(written, np.uint8))
    found = WIDE.canonical(cells)
    assert (found == found[0]).all()
    np.testing.assert_array_equal(WIDE.canonical(found), found)
    assert found[0].tolist() <= min(cells.tolist())
    WIDE.validate(found)


@settings(deadline=None, max_examples=60)
@given(blocks=written_cells(), spare=st.integers(0, 3))
def test_width_leaves_the_canonical_row(blocks: list[tuple[int, ...]], spare: int) -> None:
    narrow = CellSpace(WIDE.operations, max_blocks=min(10, len(blocks) + spare))
    row = np.array([sum(blocks, ())], np.uint8)
    found = WIDE.canonical(WIDE.fit_width(row))
    np.testing.assert_array_equal(WIDE.fit_width(narrow.canonical(narrow.fit_width(row))), found)


@settings(deadline=None, max_examples=60)
@given(blocks=written_cells())
def test_the_first_blocks_of_a_canonical_row_are_canonical(blocks: list[tuple[int, ...]]) -> None:
    found = WIDE.canonical(WIDE.fit_width(np.array([sum(blocks, ())], np.uint8)))
    for size in range(1, len(blocks)):
        first = WIDE.fit_width(found[:, : 4 * size])
        np.testing.assert_array_equal(WIDE.canonical(first), first)


def test_blocks_that_nothing_reads_count() -> None:
    used, unused = WIDE.parse_many(["id(-1)+id(-1) | id(1)+id(1)", "id(-1)+id(-1) | id(-1)+id(-1)"])
    assert WIDE.format(WIDE.canonical(used[None])[0]) != WIDE.format(WIDE.canonical(unused[None])[0])


def test_it_takes_no_rows_and_leaves_its_input() -> None:
    assert WIDE.canonical(np.empty((0, WIDE.width), np.uint8)).shape == (0, WIDE.width)
    cells = WIDE.parse_many(["sep3(-1)+id(-2) | id(1)+id(-2)", "sep3(-1)+id(-1) | id(-2)+id(-2)"])
    before = cells.copy()
    assert (WIDE.canonical(cells) != cells).any()
    np.testing.assert_array_equal(cells, before)
