from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.predict.features import (
    count_reads,
    count_uses,
    describe_shape,
    describe_shares,
    measure_depths,
    read_wiring,
)
from pnas_sim.space import CellSpace

SPACE = CellSpace()
TEXT = "sep3(-2)+max3(-1) | id(1)+sep5(-2) | sep3(2)+sep3(1)"


def test_counts_of_a_cell_by_hand() -> None:
    wiring = read_wiring(SPACE, SPACE.parse_many([TEXT]))
    reads = count_reads(SPACE, wiring)[0]
    names = SPACE.operations
    found = {
        (kind, names[operation]): int(reads[kind, operation])
        for kind, operation in zip(*np.nonzero(reads), strict=True)
    }
    assert found == {(0, "sep3"): 1, (1, "max3"): 1, (2, "id"): 1, (0, "sep5"): 1, (2, "sep3"): 2}
    assert count_uses(wiring)[0].tolist() == [2, 1, 2, 1, 0, 0, 0]
    assert measure_depths(wiring)[0].tolist() == [1, 2, 3, 0, 0]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32), st.integers(1, 5))
def test_shares_sum_to_one_and_belong_to_the_cell(seed: int, blocks: int) -> None:
    raw = SPACE.sample(8, np.random.default_rng(seed), blocks=blocks, unique=False)
    shares = describe_shares(SPACE, raw)
    assert shares.shape == (8, 24)
    assert np.allclose(shares.sum(axis=1), 1)
    for describe in (describe_shares, describe_shape):
        assert np.allclose(describe(SPACE, raw), describe(SPACE, SPACE.canonical(raw)))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32), st.integers(1, 5))
def test_depths_lie_between_one_and_the_blocks(seed: int, blocks: int) -> None:
    cells = SPACE.sample(8, np.random.default_rng(seed), blocks=blocks)
    depths = measure_depths(read_wiring(SPACE, cells))
    assert (depths[:, 0] == 1).all()
    assert ((depths[:, :blocks] >= 1) & (depths[:, :blocks] <= np.arange(1, blocks + 1))).all()
    assert (depths[:, blocks:] == 0).all()


def test_the_shape_of_a_cell_by_hand() -> None:
    shape = describe_shape(SPACE, SPACE.parse_many([TEXT, "sep3(-1)+sep3(-1)"]))
    assert shape.shape == (2, 42)
    wiring = shape[:, 32:]
    # blocks; depths, loose ends, width over blocks; unused; twice an operation, an input; kinds
    assert np.allclose(wiring[0], [3, 1, 2 / 3, 1 / 3, 1, 0, 0, 1 / 3, 0, 4])
    assert np.allclose(wiring[1], [1, 1, 1, 1, 2, 1, 0, 1, 1, 1])


def test_no_cells_have_no_features() -> None:
    none = SPACE.initial()[:0]
    assert describe_shape(SPACE, none).shape == (0, 42)
    assert describe_shares(SPACE, none).shape == (0, 24)
