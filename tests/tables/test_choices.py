from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_tables.choices import choose_best, choose_strata


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.integers(0, 8), st.integers(0, 2**32 - 1))
def test_strata_hold_no_cell_twice_and_as_many_as_there_are(
    accuracies: list[float], count: int, seed: int
) -> None:
    values = np.array(accuracies)
    chosen = choose_strata(values, count, np.random.default_rng(seed))
    assert len(set(chosen)) == len(chosen) <= min(4 * count, len(values))
    assert chosen == choose_strata(values, count, np.random.default_rng(seed))
    lowest = sorted(accuracies)[: -(-len(values) // 10)]
    assert all(values[place] <= lowest[-1] for place in chosen[: min(count, len(lowest))])


def test_strata_are_what_they_are_called() -> None:
    accuracies = np.random.default_rng(0).permutation(200) / 200
    chosen = accuracies[choose_strata(accuracies, 10, np.random.default_rng(1))].reshape(4, 10)
    failing, top, upper, random = chosen
    assert failing.max() < 0.1 and top.min() >= 0.9 and upper.min() >= 0.5
    assert random.min() < 0.5 and len(np.unique(chosen)) == 40


def test_tenth_and_half_are_rounded_up() -> None:
    """Of 11 cells in order, all chosen: two near failure, the top two, four more from the middle up."""
    chosen = choose_strata(np.arange(11) / 11, 11, np.random.default_rng(0))
    assert chosen == [0, 1, 9, 10, 5, 6, 7, 8, 2, 3, 4]


def test_the_best_come_first_and_the_earlier_of_equals() -> None:
    assert choose_best(np.array([0.1, 0.5, 0.5, 0.9]), 3) == [3, 1, 2]
    assert choose_best(np.array([0.1]), 3) == [0]
