"""How bench/ tells what near cells share from seed noise, and quotes tables in pages."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from pnas_sim.space import CellSpace

BENCH = Path(__file__).parents[2] / "bench"
SPACE = CellSpace(max_blocks=5)


@pytest.fixture
def near_cells(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module("near_cells")


def test_a_neighbour_differs_in_one_token_and_is_new(near_cells: ModuleType) -> None:
    cells = SPACE.canonical(SPACE.sample(20, np.random.default_rng(0), blocks=5))
    for place, cell in enumerate(cells):
        near = near_cells.find_neighbour(SPACE, cell, {cell.tobytes()}, place)
        again = near_cells.find_neighbour(SPACE, cell, {cell.tobytes(), near.tobytes()}, place)
        for one in (near, again):
            SPACE.validate(one[None])
            np.testing.assert_array_equal(SPACE.canonical(one[None])[0], one)
            blocks = np.full(2, 5)
            assert near_cells.count_apart(np.stack([cell, one]), blocks)[0, 1] == 1
        assert near.tobytes() != again.tobytes()
        np.testing.assert_array_equal(near_cells.find_neighbour(SPACE, cell, {cell.tobytes()}, place), near)


@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
def test_neither_seed_noise_nor_a_kinds_mean_is_taken_for_shared(
    near_cells: ModuleType, shared: float
) -> None:
    rng, count = np.random.default_rng(1), 40_000
    kinds = np.array(["top", "uniform"])[rng.integers(0, 2, count)]
    common, *own = rng.normal(size=(3, count))
    one, other = (np.sqrt(shared) * common + np.sqrt(1 - shared) * each for each in own)
    one, other = (each + 0.8 * rng.normal(size=count) + 3 * (kinds == "top") for each in (one, other))
    assert near_cells.covary(one, other, kinds) == pytest.approx(shared, abs=0.05)
