"""Speed of a table that ships and of its surrogates. Run: `pytest bench/bench_table.py --benchmark-only`.

Figures are medians over rounds, one thread (`OMP_NUM_THREADS=1`), on the main table as it ships, with its
surrogates of ten worlds; each test fails where its target is missed. What stands beside a target as a floor
is measured in the same run. On a machine that others use too, add `--benchmark-timer=time.process_time`: the
targets are of one core.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest

from pnas_sim.space import CellSpace
from pnas_tables.benchmark import Benchmark
from pnas_tables.catalogue import DEFAULT_TABLE, find_table
from pnas_tables.features import cell_features
from pnas_tables.format import read_table
from pnas_tables.surrogate import DEFAULT_SURROGATE, Surrogate

READ_SECONDS = 0.1  # a whole table with its surrogates, all checks
LOAD_SECONDS = 0.5  # a surrogate of a table that was read
BULK_CELLS_A_SECOND = 30_000  # mean validation accuracy, features included, one core
SINGLE_SECONDS = 0.005
FEATURE_CELLS_A_SECOND = 60_000
LOOK_UPS_A_SECOND = 5_000_000

SURROGATES = [DEFAULT_SURROGATE, "gp"]


@pytest.fixture(scope="module")
def path() -> Path:
    return find_table(DEFAULT_TABLE)


@pytest.fixture(scope="module")
def cells() -> np.ndarray:
    space = CellSpace()
    return space.canonical(space.sample(20_000, np.random.default_rng(0)))


def take_median(work: Callable[[], Any], rounds: int = 5) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return median(times)


def test_reading_a_table(benchmark, path: Path) -> None:
    benchmark.extra_info.update(target=READ_SECONDS, unit="s", n=len(read_table(path)))
    benchmark(read_table, path)
    assert benchmark.stats["median"] < READ_SECONDS


@pytest.mark.parametrize("name", SURROGATES)
def test_loading_a_surrogate(benchmark, path: Path, name: str) -> None:
    table = read_table(path)
    benchmark.extra_info.update(target=LOAD_SECONDS, unit="s", n=1)
    benchmark(Surrogate.from_table, table, name)
    assert benchmark.stats["median"] < LOAD_SECONDS


@pytest.mark.parametrize("name", SURROGATES)
def test_predicting_in_bulk(benchmark, path: Path, cells: np.ndarray, name: str) -> None:
    surrogate = Surrogate.from_table(read_table(path), name)
    benchmark.extra_info.update(target=BULK_CELLS_A_SECOND, unit="cells/s", n=len(cells))
    benchmark(surrogate.predict_accuracy, cells)
    if name == DEFAULT_SURROGATE:  # the other's figure is for the record, beside the same target
        assert len(cells) / benchmark.stats["median"] > BULK_CELLS_A_SECOND


@pytest.mark.parametrize("name", SURROGATES)
def test_predicting_one_cell(benchmark, path: Path, cells: np.ndarray, name: str) -> None:
    surrogate = Surrogate.from_table(read_table(path), name)
    benchmark.extra_info.update(target=SINGLE_SECONDS, unit="s", n=1)
    benchmark(surrogate.predict_accuracy, cells[:1])
    assert benchmark.stats["median"] < SINGLE_SECONDS


def test_features(benchmark, cells: np.ndarray) -> None:
    benchmark.extra_info.update(target=FEATURE_CELLS_A_SECOND, unit="cells/s", n=len(cells))
    benchmark(cell_features, CellSpace(), cells)
    assert len(cells) / benchmark.stats["median"] > FEATURE_CELLS_A_SECOND


def test_looking_up_measured_cells(benchmark, path: Path) -> None:
    """Beside a plain dictionary of rows, and `searchsorted` of 64-bit hashes alone, no row checked."""
    known = Benchmark.load(str(path))
    rng = np.random.default_rng(0)
    places = rng.integers(0, len(known.table), 1_000_000)
    rows = known.table.cells[places]
    place = {row.tobytes(): number for number, row in enumerate(known.table.cells)}
    some = rows[:50_000]
    hashes = np.sort(known.space.hash_rows(known.table.cells))
    asked = known.space.hash_rows(rows)
    dictionary = len(some) / take_median(lambda: [place.get(row.tobytes(), -1) for row in some])
    sorted_ = len(rows) / take_median(lambda: np.searchsorted(hashes, asked))
    np.testing.assert_array_equal(known.find(rows), places)
    benchmark.extra_info.update(target=LOOK_UPS_A_SECOND, unit="cells/s", n=len(rows))
    benchmark.extra_info.update(dictionary=dictionary, searchsorted_floor=sorted_)
    benchmark(known.look_up, rows)
    assert len(rows) / benchmark.stats["median"] > LOOK_UPS_A_SECOND
