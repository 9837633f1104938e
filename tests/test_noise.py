from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.noise import cell_keys, standard_noise
from pnas_sim.space import CellSpace

SPACE = CellSpace()
ROWS = SPACE.parse_many(["sep5(-2)+max3(-2)", "sep5(-2)+max3(-2) | sep7(-1)+max3(-1)"])


def test_keys_and_noise_are_those_that_tables_were_made_with() -> None:
    keys = cell_keys(SPACE.operations, ROWS)
    assert keys.tolist() == [0x490D505381606E7B, 0x877C7687A0346B71]
    expected = [0.3414727685781931, -1.6851722582517843]
    assert standard_noise(keys, 1.0, 0, "valid").tolist() == pytest.approx(expected, abs=1e-12)
    assert standard_noise(keys, 0.25, 7, "test")[0] == pytest.approx(0.2885603552347956, abs=1e-12)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**63 - 1), order=st.permutations(range(8)))
def test_noise_belongs_to_the_cell_and_not_to_the_order_of_asking(seed: int, order: list[int]) -> None:
    keys = cell_keys(SPACE.operations, SPACE.sample(8, np.random.default_rng(seed)))
    whole = standard_noise(keys, 1.0, seed, "valid")
    np.testing.assert_array_equal(standard_noise(keys[order], 1.0, seed, "valid"), whole[order])


def test_noise_is_standard_normal_over_cells_and_over_seeds() -> None:
    keys = cell_keys(SPACE.operations, SPACE.sample(400, np.random.default_rng(0)))
    noise = np.array([standard_noise(keys, 1.0, seed, "valid") for seed in range(50)])
    assert noise.std() == pytest.approx(1, abs=0.02)  # 20,000 draws: one deviation is .005
    for axis, count in ((0, 50), (1, 400)):
        means = noise.mean(axis=axis) * np.sqrt(count)
        assert abs(means.mean()) < 0.5 and means.std() == pytest.approx(1, abs=0.4)
