from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.errors import CellError, SettingError
from pnas_sim.predict.data import block_tokens, check_fit_data, list_new_blocks
from pnas_sim.space import CellSpace

SPACE = CellSpace()


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32), st.integers(1, 60))
def test_fit_data_does_not_depend_on_order(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    cells, accuracies = SPACE.sample(count, rng, blocks=2), rng.integers(0, 4, count) / 4
    cells = cells[rng.integers(0, count, count)]  # some of them more than once, with accuracies that differ
    order = rng.permutation(count)
    one, other = (
        check_fit_data(SPACE, cells, accuracies),
        check_fit_data(SPACE, cells[order], accuracies[order]),
    )
    assert np.array_equal(one[0], other[0]) and np.array_equal(one[1], other[1])
    pairs = sorted(zip(cells.tolist(), accuracies.tolist(), strict=True))
    assert list(zip(one[0].tolist(), one[1].tolist(), strict=True)) == pairs


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_unknown_accuracies_are_refused(bad: float) -> None:
    with pytest.raises(SettingError, match="1 of 2 accuracies are not finite: leave failed children out"):
        check_fit_data(SPACE, SPACE.initial()[:2], np.array([0.5, bad]))


@pytest.mark.parametrize("values", [[0.5, 1.01], [-0.01, 0.5], [50.0, 60.0]])
def test_accuracies_are_fractions(values: list[float]) -> None:
    with pytest.raises(SettingError, match=r"fractions in \[0, 1\]"):
        check_fit_data(SPACE, SPACE.initial()[:2], np.array(values))


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.5, 0.5], [[0.5, 0.5]]])
def test_there_is_one_accuracy_a_cell(values: list[float]) -> None:
    with pytest.raises(SettingError, match="2 cells, accuracies of shape"):
        check_fit_data(SPACE, SPACE.initial()[:2], np.array(values))


@pytest.mark.parametrize("values", [["high", "low"], [[0.5], [0.5, 0.6]], [{}, 0.5]])
def test_accuracies_are_numbers(values: list[object]) -> None:
    with pytest.raises(SettingError, match="accuracies are no numbers"):
        check_fit_data(SPACE, SPACE.initial()[:2], values)


def test_plain_lists_and_other_integers_will_do() -> None:
    cells, accuracies = SPACE.initial()[3:0:-1], np.array([0.3, 0.2, 0.1])
    expected = check_fit_data(SPACE, cells, accuracies)
    for plain in (cells.tolist(), cells.astype(np.int64)):
        rows, values = check_fit_data(SPACE, plain, accuracies.tolist())
        assert rows.dtype == np.uint8 and np.array_equal(rows, expected[0])
        assert np.array_equal(values, expected[1])


@pytest.mark.parametrize("blocks", [1, 10])
def test_rows_of_a_narrower_or_wider_space_are_refused(blocks: int) -> None:
    other = CellSpace(max_blocks=blocks)
    with pytest.raises(CellError, match=r"this space takes \[n, 20\]"):
        check_fit_data(SPACE, other.initial()[:2], np.array([0.5, 0.5]))


def test_cells_with_inputs_that_their_size_lacks_are_refused() -> None:
    cells = SPACE.initial()[:2].copy()
    cells[1, 0] = 2  # a first block has two inputs to read, 0 and 1
    with pytest.raises(CellError, match="row 1"):
        check_fit_data(SPACE, cells, np.array([0.5, 0.5]))


def test_no_cells_are_refused() -> None:
    with pytest.raises(SettingError, match="0 cells"):
        check_fit_data(SPACE, SPACE.initial()[:0], np.array([]))


def test_rows_outside_the_space_are_refused() -> None:
    cells = SPACE.initial()[:2]
    cells[1, 2] = 8
    with pytest.raises(CellError):
        check_fit_data(SPACE, cells, np.array([0.5, 0.5]))


def test_tokens_are_read_block_by_block() -> None:
    tokens, present = block_tokens(SPACE, SPACE.parse("sep3(-2)+sep5(-1) | max3(1)+dil3(-1)")[None])
    assert tokens[0, :2].tolist() == [[0, 1, 0, 1], [2, 1, 6, 7]]
    assert present.tolist() == [[True, True, False, False, False]]
    assert not tokens[0, 2:].any()


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_new_blocks_are_those_of_expand(size: int) -> None:
    parents = SPACE.sample(3, np.random.default_rng(size), blocks=size)
    blocks = list_new_blocks(SPACE, parents)
    children = SPACE.expand(parents).cells.reshape(3, len(blocks), -1)
    assert np.array_equal(children[1, :, 4 * size : 4 * size + 4], blocks)


def test_parents_that_expand_refuses_are_refused() -> None:
    full = SPACE.sample(2, np.random.default_rng(0))
    mixed = np.concatenate([full[:1], SPACE.initial()[:1]])
    for parents in (full, mixed):
        with pytest.raises(CellError) as refused:
            list_new_blocks(SPACE, parents)
        with pytest.raises(CellError, match=str(refused.value)[:25]):
            SPACE.expand(parents)
    assert list_new_blocks(SPACE, full[:0]).shape == (0, 4)
