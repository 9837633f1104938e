"""Rows: checks name what is wrong, widths change without loss, distinct rows are exact."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.errors import CellError
from pnas_sim.space import PAD, CellSpace, rows

SPACE = CellSpace(("sep3", "id", "max3"), max_blocks=3)
ROW = SPACE.parse("sep3(-2)+id(-1) | id(1)+max3(-2)")


def edited(*changes: tuple[int, int]) -> np.ndarray:
    cells = np.stack([ROW, ROW])
    for column, value in changes:
        cells[1, column] = value
    return cells


def test_valid_rows_pass() -> None:
    SPACE.validate(np.stack([ROW, ROW]))
    SPACE.validate(SPACE.sample(100, np.random.default_rng(0), unique=False))
    SPACE.validate(np.empty((0, SPACE.width), np.uint8))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([(0, 2)], "row 1, block 1: first input is 2; it must be from 0 to 1"),
        ([(5, 3)], "row 1, block 2: second input is 3; it must be from 0 to 2"),
        ([(6, 3)], "row 1, block 2: first operation is 3; it must be from 0 to 2"),
        ([(7, PAD)], "row 1, block 2: second operation is 255; it must be from 0 to 2"),
        ([(9, 0)], "row 1, block 3: second input is 0; after the last block every token must be 255"),
        ([(8, 0)], "row 1, block 3: second input is 255; it must be from 0 to 3"),
        ([(0, PAD)], "row 1, block 1: first input is 255; it must be from 0 to 1"),
        ([(0, PAD), (4, PAD)], "row 1 has no blocks; a cell has at least 1"),
    ],
)
def test_a_bad_token_is_named_with_its_limit(changes: list[tuple[int, int]], message: str) -> None:
    with pytest.raises(CellError) as caught:
        SPACE.validate(edited(*changes))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (np.zeros((2, 8), np.uint8), r"shape \(2, 8\); this space takes \[n, 12\]"),
        (np.zeros(12, np.uint8), r"shape \(12,\)"),
        (np.zeros((2, 12)), "type float64"),
        (np.full((1, 12), 256), "tokens lie in 0..255"),
        (np.full((1, 12), -1), "tokens lie in 0..255"),
    ],
)
def test_arrays_that_are_no_rows_are_refused(cells: np.ndarray, message: str) -> None:
    with pytest.raises(CellError, match=message):
        SPACE.canonical(cells)


def test_rows_of_other_integer_types_are_taken() -> None:
    as_int64 = ROW[None].astype(np.int64)
    assert SPACE.canonical(as_int64).dtype == np.uint8
    np.testing.assert_array_equal(SPACE.canonical(as_int64), SPACE.canonical(ROW[None]))


def test_block_counts_of_mixed_rows() -> None:
    cells = SPACE.parse_many(["id(-1)+id(-1)", "id(-1)+id(-2) | id(1)+id(1) | id(1)+id(2)"])
    np.testing.assert_array_equal(SPACE.block_counts(np.vstack([cells, ROW])), [1, 3, 2])


def test_widths_change_without_loss() -> None:
    wide = CellSpace(SPACE.operations, max_blocks=10)
    cells = SPACE.sample(50, np.random.default_rng(1), blocks=2)
    wider = wide.fit_width(cells)
    assert wider.shape == (50, 40)
    np.testing.assert_array_equal(SPACE.fit_width(wider), cells)
    np.testing.assert_array_equal(wide.hash_rows(wider), SPACE.hash_rows(cells))
    assert wide.format_many(wider) == SPACE.format_many(cells)


def test_a_cell_too_large_for_the_width_is_named() -> None:
    with pytest.raises(CellError, match="row 1 has 2 blocks; at most 1 fit this space"):
        CellSpace(SPACE.operations, max_blocks=1).fit_width(np.stack([SPACE.parse("id(-1)+id(-1)"), ROW]))
    with pytest.raises(CellError, match="4 tokens a block"):
        SPACE.fit_width(np.zeros((2, 7), np.uint8))


def hash_by_plain_integers(tokens: list[int]) -> int:
    """SplitMix64's finaliser over the 32-bit little-endian words of the blocks."""
    state = 0x9E3779B97F4A7C15
    for start in range(0, len(tokens), 4):
        state ^= int.from_bytes(bytes(tokens[start : start + 4]), "little")
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB % 2**64
        state ^= state >> 31
    return state


def test_the_hash_is_of_the_tokens_alone() -> None:
    assert SPACE.hash_rows(ROW[None]).tolist() == [hash_by_plain_integers(ROW[:8].tolist())]
    paper = CellSpace()
    initial = paper.initial()
    assert len(np.unique(paper.hash_rows(initial))) == len(initial)


@settings(deadline=None, max_examples=60)
@given(
    cells=st.lists(st.lists(st.integers(0, 1), min_size=4, max_size=4), max_size=20),
    hash_values=st.integers(1, 5),
)
def test_distinct_rows_are_exact_whatever_the_hashes(cells: list[list[int]], hash_values: int) -> None:
    array = np.array(cells, np.uint8).reshape(-1, 4)
    hashes = (array.sum(axis=1) % hash_values).astype(np.uint64)  # equal for equal rows, and for many others
    first, inverse = rows.find_distinct(array, hashes)
    expected = list(dict.fromkeys(map(tuple, cells)))
    assert [tuple(row) for row in array[first].tolist()] == expected
    assert [expected[i] for i in inverse] == [tuple(cell) for cell in cells]
    assert all(np.diff(first) > 0)
    assert all(tuple(cells[i]) not in map(tuple, cells[:i]) for i in first)


def test_keys_are_the_rows_own_bytes() -> None:
    cells = SPACE.sample(50, np.random.default_rng(0))
    assert SPACE.list_keys(cells) == [row.tobytes() for row in cells]
    assert SPACE.list_keys(cells[::2]) == [row.tobytes() for row in cells[::2]]
    assert SPACE.list_keys(cells[:0]) == []
