from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pnas_sim.errors import SettingError
from pnas_sim.evaluate import Status
from pnas_sim.space import CellSpace
from pnas_sim.study.predictors_pools import TrainedCells, ask_truth, draw_distinct, pool_answers, pool_trained

SPACE = CellSpace(operations=("sep3", "id", "max3"), max_blocks=3)
TINY = CellSpace(operations=("sep3",), max_blocks=3)


def make_trained(
    runs: list[tuple[int, int, int, float]], origins: list[str], blocks: int = 2
) -> TrainedCells:
    """Runs of (cell, seed, status, accuracy) on distinct cells of a size."""
    cells = draw_distinct(SPACE, blocks, len(origins), np.random.default_rng(0))
    columns = np.array(runs)
    return TrainedCells(
        space=SPACE,
        cells=cells,
        origins=origins,
        run_cells=columns[:, 0].astype(np.int64),
        seeds=columns[:, 1].astype(np.int64),
        status=columns[:, 2].astype(np.uint8),
        valid_accuracy=columns[:, 3],
        chance=0.1,
        data="abc",
    )


def test_the_lowest_seed_is_noisy_and_the_mean_of_several_is_expected() -> None:
    runs = [(0, 1, 0, 0.6), (0, 0, 0, 0.5), (1, 3, 0, 0.4), (0, 2, 0, 0.7)]
    pool = pool_trained(make_trained(runs, ["uniform", "uniform"])).by_blocks[2]
    assert pool.noisy.tolist() == [0.5, 0.4]
    assert np.allclose(pool.expected, [0.6, np.nan], equal_nan=True)
    assert np.isnan(pool.noise)  # two degrees of freedom tell nothing


def test_only_uniform_cells_and_whole_sizes_are_pooled() -> None:
    runs = [(cell, 0, 0, 0.1 * cell + 0.1) for cell in range(5)]
    origins = ["raw", "search+uniform", "all-2", "all-1", "search"]
    pools = pool_trained(make_trained(runs, origins))
    assert np.allclose(pools.by_blocks[2].noisy, [0.2, 0.3])


def test_failed_cells_are_left_out_and_counted_and_diverged_are_chance() -> None:
    runs = [
        (0, 0, int(Status.FAILED), np.nan),
        (1, 0, int(Status.DIVERGED), 0.13),
        (2, 0, int(Status.FAILED), np.nan),
        (2, 1, 0, 0.5),
    ]
    pools = pool_trained(make_trained(runs, ["uniform"] * 3))
    assert pools.left_out == 1
    assert pools.by_blocks[2].noisy.tolist() == [0.1, 0.5]


def test_seed_noise_is_pooled_within_cells() -> None:
    rng = np.random.default_rng(1)
    truth = rng.uniform(0.3, 0.6, 40)
    runs = [(cell, seed, 0, truth[cell] + rng.normal(0, 0.02)) for cell in range(40) for seed in range(3)]
    pool = pool_trained(make_trained(runs, ["uniform"] * 40)).by_blocks[2]
    assert abs(pool.noise - 0.02) < 0.005
    assert np.isfinite(pool.expected).all()


def test_noise_of_other_sizes_is_called_so() -> None:
    """Where no cell of a size has a second seed, all others' deviation stands in for its own."""
    several = make_trained([(c, s, 0, 0.4 + 0.01 * s) for c in range(9) for s in range(2)], ["uniform"] * 9)
    once = make_trained([(c, 0, 0, 0.5) for c in range(9)], ["uniform"] * 9, blocks=1)
    both = replace(
        several,
        cells=np.concatenate([several.cells, once.cells]),
        origins=[*several.origins, *once.origins],
        run_cells=np.concatenate([several.run_cells, once.run_cells + 9]),
        **{
            name: np.concatenate([getattr(several, name), getattr(once, name)])
            for name in ("seeds", "status", "valid_accuracy")
        },
    )
    pools = pool_trained(both).by_blocks
    assert (pools[1].pooled, pools[2].pooled) == (True, False)
    assert pools[1].noise == pools[2].noise > 0


def test_a_table_without_uniform_cells_gives_no_pools() -> None:
    assert pool_trained(make_trained([(0, 0, 0, 0.5)], ["search"])).by_blocks == {}


def test_answered_pools_are_distinct_and_of_every_size(made_up_bulk) -> None:
    pools = pool_answers(made_up_bulk(SPACE), 60, 1.0, seed=0, largest=3)
    assert {size: len(pool) for size, pool in pools.by_blocks.items()} == {1: 21, 2: 60, 3: 60}
    for size, pool in pools.by_blocks.items():
        assert (SPACE.block_counts(pool.cells) == size).all()
        assert len(set(SPACE.list_keys(pool.cells))) == len(pool)
        assert 0.004 < pool.noise < 0.02
    again = pool_answers(made_up_bulk(SPACE), 60, 1.0, seed=0, largest=3)
    assert all(np.array_equal(again.by_blocks[b].noisy, pools.by_blocks[b].noisy) for b in (1, 2, 3))


def test_a_small_space_is_pooled_whole(made_up_bulk) -> None:
    pools = pool_answers(made_up_bulk(TINY), 500, 1.0, seed=0, largest=2)
    assert {size: len(pool) for size, pool in pools.by_blocks.items()} == {1: 3, 2: TINY.count_unique(2)}


def test_one_by_one_and_in_bulk_the_truth_is_the_same(made_up_bulk) -> None:
    bulk = made_up_bulk(SPACE)

    class Slow:
        spec = bulk.spec

        def evaluate(self, cells, epochs, seed):
            yield from reversed(list(bulk.evaluate(cells, epochs, seed)))

        def close(self) -> None: ...

    cells = SPACE.initial()
    for one, other in zip(ask_truth(bulk, cells, 1.0, 3), ask_truth(Slow(), cells, 1.0, 3), strict=True):
        assert np.array_equal(one, other)


def test_failed_answers_are_left_out(made_up_bulk) -> None:
    bulk = made_up_bulk(SPACE)

    class Failing:
        spec = bulk.spec
        evaluate, close = bulk.evaluate, bulk.close

        def evaluate_bulk(self, cells, epochs, seed):
            answers = bulk.evaluate_bulk(cells, epochs, seed)
            status = np.zeros(len(cells), np.uint8)
            status[:3] = [Status.FAILED, Status.DIVERGED, Status.FAILED]
            return replace(answers, status=status)

    pools = pool_answers(Failing(), 30, 1.0, 0, 2)
    assert pools.left_out == 4
    assert pools.by_blocks[2].noisy[0] == bulk.spec.chance
    with pytest.raises(SettingError, match="cells is 1; a pool has at least 2"):
        pool_answers(bulk, 1, 1.0, 0, 2)
