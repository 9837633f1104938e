"""Draws without repeats: distinct, uniform, and those of random search."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from pnas_sim.errors import SettingError
from pnas_sim.search import RandomSearch
from pnas_sim.space import CellSpace, distinct

PAPER = CellSpace()
SMALL = CellSpace(("sep3", "id"), 2)  # 165 two-block cells


@pytest.fixture(params=["listed", "drawn"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small spaces are listed; with this they are also drawn from as large ones are."""
    if request.param == "drawn":
        monkeypatch.setattr(distinct, "MOST_LISTED", 0)


@pytest.mark.parametrize("n", [0, 1, 100, 165])
@pytest.mark.usefixtures("either_way")
def test_no_cell_comes_twice(n: int) -> None:
    cells = SMALL.sample(n, 3, distinct=True)
    assert cells.shape == (n, SMALL.width)
    assert len(SMALL.unique(SMALL.canonical(cells))[0]) == n
    assert (SMALL.canonical(cells) == cells).all()
    assert len(SMALL.unique(SMALL.sample(165, 3))[0]) < 165  # as they may without


@pytest.mark.usefixtures("either_way")
def test_draws_are_uniform_and_without_replacement() -> None:
    space, rng = CellSpace(("id",), 1), np.random.default_rng(0)  # three cells
    seen = Counter(space.sample(2, rng, distinct=True).tobytes() for _ in range(1500))
    assert len(seen) == 3 * 2  # ordered pairs of different cells
    assert chisquare(list(seen.values())).pvalue > 1e-4


@pytest.mark.parametrize("blocks", [1, 2, 4])
def test_random_search_draws_the_same(blocks: int) -> None:
    rng = np.random.default_rng(np.random.SeedSequence([7, 0]))
    asked = RandomSearch(PAPER, blocks=blocks, seed=7).ask(50).cells
    np.testing.assert_array_equal(asked, PAPER.sample(50, rng, blocks=blocks, distinct=True))


def test_more_than_there_are_and_raw_rows_are_refused() -> None:
    with pytest.raises(SettingError, match="cannot draw 166 distinct cells of 2 blocks; there are 165"):
        SMALL.sample(166, 0, distinct=True)
    with pytest.raises(SettingError, match="distinct cells are unique ones"):
        SMALL.sample(2, 0, unique=False, distinct=True)
