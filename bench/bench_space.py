"""Speed of the cell space. Run: `pytest bench/bench_space.py --benchmark-only`.

Figures are medians over rounds, one thread, over random cells of a fixed seed; each test fails where its
target is missed.
"""

from __future__ import annotations

import numpy as np
import pytest

from pnas_sim.space import CellSpace, counting

EXPANSION_SECONDS = 2.0  # 256 four-block parents expanded, their 301,056 children made canonical
DISTINCT_SECONDS = 1.0  # the distinct ones among those children
TEN_BLOCK_SECONDS = 10.0  # 256 nine-block parents expanded, their 1,002,496 children made canonical
COUNT_SECONDS = 1.0  # unique cells of ten blocks, nothing remembered
SAMPLE_CELLS_A_SECOND = 50_000  # unique five-block cells


def expand_and_canonicalise(space: CellSpace, parents: np.ndarray) -> np.ndarray:
    return space.canonical(space.expand(parents).cells)


def test_expanding_four_block_parents(benchmark) -> None:
    space = CellSpace()
    parents = space.sample(256, np.random.default_rng(0), blocks=4)
    benchmark.extra_info.update(target=EXPANSION_SECONDS, unit="s", n=301_056)
    children = benchmark(expand_and_canonicalise, space, parents)
    assert len(children) == 301_056
    assert benchmark.stats["median"] < EXPANSION_SECONDS


def test_expanding_related_parents(benchmark) -> None:
    """As in a search, where parents are alike and made of few blocks: many ties, many duplicates."""
    space = CellSpace()
    alike = CellSpace(("sep3", "sep5"), max_blocks=5).sample(256, np.random.default_rng(0), blocks=4)
    benchmark.extra_info.update(target=EXPANSION_SECONDS, unit="s", n=301_056)
    children = benchmark(expand_and_canonicalise, space, alike)
    assert len(children) == 301_056
    assert benchmark.stats["median"] < EXPANSION_SECONDS


def test_finding_distinct_children(benchmark) -> None:
    space = CellSpace()
    children = expand_and_canonicalise(space, space.sample(256, np.random.default_rng(0), blocks=4))
    benchmark.extra_info.update(target=DISTINCT_SECONDS, unit="s", n=len(children))
    benchmark(space.unique, children)
    assert benchmark.stats["median"] < DISTINCT_SECONDS


def test_expanding_nine_block_parents(benchmark) -> None:
    space = CellSpace(max_blocks=10)
    parents = space.sample(256, np.random.default_rng(0), blocks=9)
    benchmark.extra_info.update(target=TEN_BLOCK_SECONDS, unit="s", n=1_002_496)
    children = benchmark.pedantic(expand_and_canonicalise, (space, parents), rounds=3)
    assert len(children) == 1_002_496
    assert benchmark.stats["median"] < TEN_BLOCK_SECONDS


def test_sampling_unique_cells(benchmark) -> None:
    space = CellSpace()
    benchmark.extra_info.update(target=SAMPLE_CELLS_A_SECOND, unit="cells/s", n=10_000)
    benchmark(lambda: space.sample(10_000, np.random.default_rng(0)))
    assert 10_000 / benchmark.stats["median"] > SAMPLE_CELLS_A_SECOND


@pytest.mark.parametrize("operations", [1, 8])
def test_counting_ten_blocks(benchmark, operations: int) -> None:
    def count() -> int:
        counting.count_unique.cache_clear()
        counting._count_fixed.cache_clear()
        return counting.count_unique(10, operations)

    benchmark.extra_info.update(target=COUNT_SECONDS, unit="s", n=10)
    benchmark(count)
    assert benchmark.stats["median"] < COUNT_SECONDS
