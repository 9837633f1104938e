"""Text: the inverse of the row, and errors that name the piece and what may stand there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.errors import CellError
from pnas_sim.space import CellSpace

PAPER = CellSpace()
BEST = "sep5(-2)+max3(-2) | sep7(-1)+max3(-1) | sep5(-1)+sep3(-1) | sep3(3)+max3(-1) | sep3(-2)+id(-1)"


def test_the_papers_best_cell() -> None:
    row = PAPER.parse(BEST)
    assert row.tolist() == [0, 0, 1, 6, 1, 1, 2, 6, 1, 1, 1, 0, 4, 1, 0, 6, 0, 1, 0, 4]
    assert PAPER.format(row) == BEST
    assert PAPER.canonical_text(PAPER.canonical_text(BEST)) == PAPER.canonical_text(BEST)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32), blocks=st.integers(1, 10), operations=st.integers(1, 8))
def test_parse_and_format_are_inverse(seed: int, blocks: int, operations: int) -> None:
    space = CellSpace(PAPER.operations[:operations], max_blocks=10)
    cells = space.sample(5, np.random.default_rng(seed), blocks, unique=False)
    texts = space.format_many(cells)
    np.testing.assert_array_equal(space.parse_many(texts), cells)
    assert texts == [space.format(row) for row in cells]


def test_a_row_is_as_written() -> None:
    written = "max3(-1)+id(-2) | sep3(1)+id(-2)"
    assert PAPER.format(PAPER.parse(written)) == written
    assert PAPER.canonical_text(written) == "id(-2)+max3(-1) | id(-2)+sep3(1)"


def test_white_space_means_nothing() -> None:
    np.testing.assert_array_equal(
        PAPER.parse("\tid( -1 )+ max3 (-2)|sep3(1)\n +id(1)  "),
        PAPER.parse("id(-1)+max3(-2) | sep3(1)+id(1)"),
    )


def test_no_texts_are_no_rows() -> None:
    assert PAPER.parse_many([]).shape == (0, PAPER.width)
    assert PAPER.format_many(np.empty((0, PAPER.width), np.uint8)) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "sep9(-2)+id(-1)",
            "unknown operation 'sep9' in 'sep9(-2)+id(-1)': "
            "one of sep3, sep5, sep7, conv1x7, id, avg3, max3, dil3",
        ),
        ("SEP3(-2)+id(-1)", "unknown operation 'SEP3' in 'SEP3(-2)+id(-1)': one of sep3"),
        (
            "id(-1)+id(-1) | id(3)+id(1)",
            "input 3 of block 2 in 'id(-1)+id(-1) | id(3)+id(1)': one of -2, -1, 1",
        ),
        ("id(0)+id(-1)", "input 0 of block 1 in 'id(0)+id(-1)': one of -2, -1"),
        ("id(1)+id(-1)", "input 1 of block 1"),
        ("id(-3)+id(-1)", "input -3 of block 1"),
        ("id(x)+id(-1)", "input x of block 1"),
        ("id(1.0)+id(-1)", "input 1.0 of block 1"),
        ("id(" + "9" * 9000 + ")+id(-1)", "input 9999"),
        ("id(\u0661)+id(-1)", "input \u0661 of block 1"),
        ("", "block 1 is empty in ''; write operation(input)+operation(input)"),
        ("id(-1)+id(-1) | ", "block 2 is empty"),
        ("id(-1)", "block 1 is 'id(-1)'; write operation(input)+operation(input)"),
        ("id(-1)+id(-1)+id(-1)", "block 1 is 'id(-1)+id(-1)+id(-1)'"),
        ("id-1+id(-1)", "cannot read 'id-1' in block 1"),
        ("id(-1)+(-1)", "cannot read '(-1)' in block 1"),
        ("id(-1)+id(-1", "cannot read 'id(-1' in block 1"),
        ("id(-1)+", "cannot read '' in block 1"),
        (" | ".join(["id(-1)+id(-1)"] * 6), "a cell of 6 blocks in 'id(-1)+id(-1) | id(-1)+id(-1)"),
        (" | ".join(["id(-1)+id(-1)"] * 6), "this space holds at most 5"),
    ],
)
def test_the_wrong_piece_is_named_on_one_short_line(text: str, message: str) -> None:
    with pytest.raises(CellError) as caught:
        PAPER.parse(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 260


@settings(deadline=None, max_examples=200)
@given(text=st.text(alphabet="id sep3max()+|-12\n", max_size=40))
def test_any_text_is_a_cell_or_an_error(text: str) -> None:
    try:
        row = PAPER.parse(text)
    except CellError:
        return
    PAPER.validate(row[None])
    np.testing.assert_array_equal(PAPER.parse(PAPER.format(row)), row)


@pytest.mark.parametrize("text", [None, 3, b"id(-1)+id(-1)", CellSpace()])
def test_what_is_no_text_is_refused(text: object) -> None:
    with pytest.raises(CellError, match=f"a cell is {type(text).__name__}; give its text"):
        PAPER.parse(text)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["canonical", "format_many", "validate"])
def test_rows_with_a_wrong_token_are_refused(name: str) -> None:
    rows = PAPER.parse_many(["id(-2)+id(-1)", "id(-2)+id(-1) | id(1)+id(1)"])
    for column, limit in ((4, 2), (7, 7)):
        wrong = rows.copy()
        wrong[1, column] = limit + 1
        message = f"row 1, block 2: .* is {limit + 1}; it must be from 0 to {limit}"
        with pytest.raises(CellError, match=message):
            getattr(PAPER, name)(wrong)


def test_one_row_is_checked_too() -> None:
    for ask in (PAPER.format, PAPER.cell):
        with pytest.raises(CellError, match="second operation is 8"):
            ask(np.array([0, 0, 0, 8, *[255] * 16], np.uint8))
        with pytest.raises(CellError, match="cells of shape"):
            ask("id(-2)+id(-1)")  # type: ignore[arg-type]
