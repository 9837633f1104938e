"""Speed of a table and its surrogate. Run: `pytest bench/bench_table.py --benchmark-only`.

Figures are medians over rounds, one thread, on a made-up table of the shipped plan's first 626 children (the
size of a real one); each test fails where its target is missed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pnas_sim.space import CellSpace
from pnas_tables.features import cell_features
from pnas_tables.format import read_table, write_table
from pnas_tables.plans import CIFAR10_16PX, list_jobs
from pnas_tables.surrogate import Surrogate, fit_surrogate
from pnas_tables.testing import build_made_up_table

READ_SECONDS = 0.1  # a whole table, all checks
BULK_CELLS_A_SECOND = 10_000  # features included, one core
SINGLE_SECONDS = 0.005
FEATURE_CELLS_A_SECOND = 30_000


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "made-up.h5"
    space = CellSpace()
    table = build_made_up_table(list_jobs(CIFAR10_16PX, space).take(range(626)), space, path)
    write_table(path, fit_surrogate(table))
    return path


@pytest.fixture(scope="module")
def cells() -> np.ndarray:
    space = CellSpace()
    return space.canonical(space.sample(20_000, np.random.default_rng(0)))


def test_reading_a_table(benchmark, path: Path) -> None:
    benchmark.extra_info.update(target=READ_SECONDS, unit="s", n=626)
    benchmark(read_table, path)
    assert benchmark.stats["median"] < READ_SECONDS


def test_predicting_in_bulk(benchmark, path: Path, cells: np.ndarray) -> None:
    surrogate = Surrogate.from_table(read_table(path))
    benchmark.extra_info.update(target=BULK_CELLS_A_SECOND, unit="cells/s", n=len(cells))
    benchmark(surrogate.predict, cells)
    assert len(cells) / benchmark.stats["median"] > BULK_CELLS_A_SECOND


def test_predicting_one_cell(benchmark, path: Path, cells: np.ndarray) -> None:
    surrogate = Surrogate.from_table(read_table(path))
    benchmark.extra_info.update(target=SINGLE_SECONDS, unit="s", n=1)
    benchmark(surrogate.predict, cells[:1])
    assert benchmark.stats["median"] < SINGLE_SECONDS


def test_features(benchmark, cells: np.ndarray) -> None:
    benchmark.extra_info.update(target=FEATURE_CELLS_A_SECOND, unit="cells/s", n=len(cells))
    benchmark(cell_features, CellSpace(), cells)
    assert len(cells) / benchmark.stats["median"] > FEATURE_CELLS_A_SECOND
