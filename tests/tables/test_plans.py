from __future__ import annotations

import json
from collections import Counter
from hashlib import sha256

import numpy as np
import pytest

from pnas_sim.errors import SettingError
from pnas_sim.space import CellSpace
from pnas_tables.build import build_table
from pnas_tables.choices import choose_strata
from pnas_tables.plans import (
    Jobs,
    Plan,
    Step,
    count_waiting,
    draw_cells,
    enumerate_cells,
    join_jobs,
    list_jobs,
    sample_plan,
)
from pnas_tables.shipped_plans import (
    CIFAR10_16PX,
    CIFAR10_16PX_MINI,
    FASHION_16PX,
    MINI_SPACE,
    find_plan,
    find_recipe,
    find_relatives,
)
from pnas_tables.testing import MadeUpTrainer, made_up_head


def test_a_stream_goes_on_where_a_shorter_one_stopped(space: CellSpace) -> None:
    long = draw_cells(space, 3, 150, seed=1)
    np.testing.assert_array_equal(draw_cells(space, 3, 70, seed=1), long[:70])
    assert len(space.unique(long)[0]) == 150
    np.testing.assert_array_equal(space.canonical(long), long)
    assert (space.block_counts(long) == 3).all()
    assert not np.array_equal(draw_cells(space, 3, 70, seed=2), long[:70])


def test_a_stream_can_give_every_cell_and_no_more() -> None:
    small = CellSpace(operations=("sep3", "id"), max_blocks=2)
    assert len(draw_cells(small, 1, 10, seed=0)) == small.count_unique(1) == 10
    with pytest.raises(SettingError, match="11 cells of 1 blocks asked for; there are 10"):
        draw_cells(small, 1, 11, seed=0)
    with pytest.raises(SettingError, match="cells of 3 blocks asked for; the space has 1 to 2"):
        draw_cells(small, 3, 1, seed=0)


def test_of_a_job_that_comes_again_the_first_reason_counts(space: CellSpace) -> None:
    cells = space.initial()[:3]
    first, again = (
        Jobs(cells[places], np.array([0, 0]), (why,) * 2) for places, why in (([0, 1], "a"), ([2, 1], "b"))
    )
    joined = join_jobs([first, again, Jobs(cells[:1], np.array([1]), ("c",))], space)
    assert joined.origins == ("a", "a", "b", "c")
    np.testing.assert_array_equal(joined.cells, cells[[0, 1, 2, 0]])
    assert joined.seeds.tolist() == [0, 0, 0, 1]


def test_cells_are_crossed_with_seeds_one_seed_after_the_other(space: CellSpace) -> None:
    cells = space.initial()[:2]
    jobs = Jobs.cross(cells, 3, "verify")
    assert jobs.seeds.tolist() == [0, 0, 1, 1, 2, 2] and jobs.origins == ("verify",) * 6
    np.testing.assert_array_equal(jobs.cells, np.concatenate([cells] * 3))
    assert len(Jobs.cross(cells[:0], 3, "verify")) == 0


def test_jobs_keep_the_order_of_steps_and_train_nothing_twice(space: CellSpace) -> None:
    again = Step("uniform", 2, 0, 8)
    jobs = list_jobs(
        Plan("x", 0, (Step("all", 1, 0, 5), again, again, Step("uniform", 2, 3, 6, seed=1))), space
    )
    assert jobs.seeds.tolist() == [0] * 13 + [1] * 3
    assert jobs.origins == ("all-1",) * 5 + ("uniform",) * 11
    np.testing.assert_array_equal(jobs.cells[13:], jobs.cells[5 + 3 : 5 + 6])


def test_a_plan_is_json() -> None:
    described = json.loads(json.dumps(CIFAR10_16PX.as_json()))
    rebuilt = Plan(described["name"], described["seed"], tuple(Step(**step) for step in described["steps"]))
    assert rebuilt == CIFAR10_16PX


def counts_after(jobs: int | None) -> dict[tuple[int, int], int]:
    """(blocks, training seed) and number of children among the first jobs of the shipped plan."""
    space = CellSpace()
    plan = list_jobs(CIFAR10_16PX, space)
    blocks = space.block_counts(plan.cells[:jobs])
    return dict(Counter(zip(blocks.tolist(), plan.seeds[:jobs].tolist(), strict=True)))


def test_the_shipped_plan_is_useful_at_every_point() -> None:
    assert counts_after(136) == {(1, 0): 136}
    assert counts_after(136 + 40) == {(1, 0): 136, **{(b, 0): 10 for b in (2, 3, 4, 5)}}
    first = counts_after(136 + 160 + 30)
    assert first == {(1, 0): 136, **{(b, 0): 40 for b in (2, 3, 4, 5)}, (5, 1): 30}
    second = counts_after(136 + 450 + 300 + 30)
    assert second == {(1, 0): 136, **{(b, 0): 150 for b in (2, 3, 4)}, (5, 0): 300, (5, 1): 30}


def test_the_whole_shipped_plan(space: CellSpace) -> None:
    """700 of five blocks, 100 of them raw, beside 60 sealed ones with three seeds; 300 of two to four."""
    wide = CellSpace()
    jobs = list_jobs(CIFAR10_16PX, wide)
    assert Counter(jobs.origins) == {"all-1": 136, "uniform": 1500 + 30, "raw": 100, "sealed": 180}
    blocks = wide.block_counts(jobs.cells)
    assert counts_after(None)[4, 0] == 300 and (blocks == 5).sum() == 700 + 30 + 180
    sealed = {row.tobytes() for row, word in zip(jobs.cells, jobs.origins, strict=True) if word == "sealed"}
    others = {row.tobytes() for row, word in zip(jobs.cells, jobs.origins, strict=True) if word != "sealed"}
    assert len(sealed) == 60 and not sealed & others


def test_strata_of_the_shipped_plan_get_second_and_third_seeds() -> None:
    wide = CellSpace()
    pool = draw_cells(wide, 5, 300, CIFAR10_16PX.seed)
    results = {(row.tobytes(), 0): place / 300 for place, row in enumerate(pool)}
    jobs = list_jobs(CIFAR10_16PX, wide, results)
    cells = {seed: {row.tobytes() for row in jobs.cells[jobs.seeds == seed]} for seed in (1, 2)}
    again = [place for place, row in enumerate(pool) if row.tobytes() in cells[2]]
    assert len(again) == 100 and {pool[place].tobytes() for place in again} <= cells[1]
    assert sum(place >= 270 for place in again) >= 25 and sum(place < 30 for place in again) >= 25


SMALL = Plan(
    "x",
    7,
    (
        Step("uniform", 2, 0, 20),
        Step("strata", 2, 0, 20, seed=1, count=2),
        Step("sealed", 2, 0, 3),
        Step("best", 1, 0, 0, seed=1, count=2),
        Step("all", 1, 0, 136),
    ),
)


def make_results(cells: np.ndarray, seed: int = 0) -> dict[tuple[bytes, int], float]:
    return {(row.tobytes(), seed): 0.3 + place / 1000 for place, row in enumerate(cells)}


def test_steps_that_choose_wait_for_all_they_choose_from(space: CellSpace) -> None:
    static = list_jobs(SMALL, space)
    assert static.seeds.tolist() == [0] * (20 + 3 + 136)
    assert len(list_jobs(SMALL, space, {}, skip=0)) == 20, "the list ends before the first that waits"
    assert len(list_jobs(SMALL, space, {}, skip=1)) == 23, "and here before the second"
    results = make_results(draw_cells(space, 2, 20, 7))
    first = results.pop(next(iter(results)))
    assert count_waiting(SMALL, space, results) == 2
    assert list_jobs(SMALL, space, results).keys() == static.keys()
    whole = make_results(draw_cells(space, 2, 20, 7))
    assert first == next(iter(whole.values())) and count_waiting(SMALL, space, whole) == 1
    jobs = list_jobs(SMALL, space, whole, skip=0)
    assert jobs.seeds.tolist() == [0] * 20 + [1] * 8 + [0] * 3
    assert jobs.origins == ("uniform",) * 28 + ("sealed",) * 3


def test_strata_are_drawn_by_the_plans_seed_and_the_stretch(space: CellSpace) -> None:
    pool = draw_cells(space, 2, 20, 7)
    jobs = list_jobs(SMALL, space, make_results(pool), skip=0)
    rng = np.random.default_rng([7, 2, 0, 20])
    wanted = choose_strata(0.3 + np.arange(20) / 1000, 2, rng)
    np.testing.assert_array_equal(jobs.cells[jobs.seeds == 1], pool[wanted])


def test_what_is_chosen_depends_on_the_first_seeds_of_the_stretch_alone(space: CellSpace) -> None:
    pool = draw_cells(space, 2, 20, 7)
    results = make_results(pool)
    others = {**results, **make_results(draw_cells(space, 3, 9, 7)), **make_results(pool[::-1], seed=1)}
    assert list_jobs(SMALL, space, results).keys() == list_jobs(SMALL, space, others).keys()


def test_the_best_are_of_all_sizes_up_to_the_steps(space: CellSpace) -> None:
    small = CellSpace(operations=("sep3", "id"), max_blocks=2)
    cells = np.concatenate([enumerate_cells(small, 1), enumerate_cells(small, 2)])
    results = {(row.tobytes(), 0): 0.5 for row in cells}
    results[cells[3].tobytes(), 0] = 0.9
    results[cells[100].tobytes(), 0] = 0.8
    plan = Plan("x", 0, (Step("best", 2, 0, 0, 1, 3),), small)
    jobs = list_jobs(plan, small, results)
    np.testing.assert_array_equal(jobs.cells, cells[[3, 100, 0]])
    assert jobs.origins == ("all-1", "all-2", "all-1") and jobs.seeds.tolist() == [1, 1, 1]


def test_streams_are_different_and_raw_rows_favour_cells_with_many_spellings(space: CellSpace) -> None:
    streams = {name: draw_cells(space, 2, 300, 1, name) for name in ("uniform", "sealed", "raw")}
    assert not np.array_equal(streams["uniform"], streams["sealed"])
    for cells in streams.values():
        assert len(space.unique(cells)[0]) == 300
        np.testing.assert_array_equal(space.canonical(cells), cells)

    def spellings(cells: np.ndarray) -> float:
        """Mean share of blocks whose halves differ: swapped they are another raw row of the same cell."""
        blocks = cells[:, :8].reshape(-1, 2, 4)
        return float((blocks[:, :, [0, 2]] != blocks[:, :, [1, 3]]).any(axis=2).mean())

    assert spellings(streams["raw"]) > spellings(streams["uniform"])


def test_the_mini_plan_is_a_whole_space_of_the_main_plans_cells() -> None:
    jobs = list_jobs(CIFAR10_16PX_MINI, MINI_SPACE)
    assert len(jobs) == 36 + 2178 and len(MINI_SPACE.unique(jobs.cells)[0]) == len(jobs)
    wide = CellSpace()
    texts = MINI_SPACE.format_many(jobs.cells)
    rows = wide.canonical(wide.parse_many(texts))
    assert wide.format_many(rows) == texts, "the same text, so the same training streams"
    results = {(row.tobytes(), 0): place / 3000 for place, row in enumerate(jobs.cells)}
    again = list_jobs(CIFAR10_16PX_MINI, MINI_SPACE, results)
    assert again.seeds.tolist() == [0] * len(jobs) + [1] * 50 + [2] * 50
    best = {row.tobytes() for row in jobs.cells[-50:]}
    assert {row.tobytes() for row in again.cells[again.seeds == 2]} == best


def test_the_fashion_plan() -> None:
    jobs = list_jobs(FASHION_16PX, FASHION_16PX.space)
    counts = Counter(zip(CellSpace().block_counts(jobs.cells).tolist(), jobs.seeds.tolist(), strict=True))
    assert counts == {(1, 0): 136, **{(b, 0): 50 for b in (2, 3, 4, 5)}, (5, 1): 20}


def test_every_plan_has_a_recipe_and_knows_its_relatives() -> None:
    assert find_recipe("cifar10-16px") == find_recipe("cifar10-16px-mini")
    assert find_recipe("fashion-16px").dataset == "fashion-mnist"
    assert find_relatives("cifar10-16px") == ("cifar10-16px-mini",)
    assert find_relatives("fashion-16px") == ()
    with pytest.raises(SettingError, match="plan 'x' is unknown"):
        find_recipe("x")


def test_second_seeds_are_of_cells_that_have_a_first() -> None:
    jobs = list_jobs(CIFAR10_16PX, CellSpace())
    seen: set[bytes] = set()
    for row, seed in zip(jobs.cells, jobs.seeds, strict=True):
        assert seed == 0 or row.tobytes() in seen
        seen.add(row.tobytes())


def test_the_shipped_plan_asks_for_the_same_cells_for_ever() -> None:
    """The parts that ship were trained from this list: another sampler would break its seeds' pairs."""
    space = CellSpace()
    jobs = list_jobs(CIFAR10_16PX, space)
    text = "\n".join(space.format_many(jobs.cells[:326]))
    assert sha256(text.encode()).hexdigest() == GOLDEN


GOLDEN = "816cf6a5d3488ab15b74f20fc3b0ec99a1bb7b4b541783180d15980cca3c8ae1"


def test_unknown_plan_is_answered_with_the_known() -> None:
    assert find_plan("cifar10-16px") is CIFAR10_16PX
    with pytest.raises(
        SettingError, match="plan 'x' is unknown; known are: cifar10-16px, cifar10-16px-mini, fashion"
    ):
        find_plan("x")


def test_a_sample_is_shared_evenly_and_small_sizes_are_taken_whole(space: CellSpace) -> None:
    steps = sample_plan("x", 500, (1, 2, 3), seeds=2, seed=0, space=space).steps
    shares = {(step.kind, step.blocks, step.seed): step.stop for step in steps}
    assert shares == {
        **{("all", 1, s): 136 for s in (0, 1)},
        **{("uniform", 2, s): 182 for s in (0, 1)},
        **{("uniform", 3, s): 182 for s in (0, 1)},
    }


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"cells": 0}, "cells is 0"),
        ({"seeds": 0}, "seeds is 0"),
        ({"seeds": 10**14}, "seeds is 100000000000000; it must be at most 1000"),
        ({"seed": -1}, "seed is -1; it must be at least 0"),
        ({"blocks": (0,)}, "blocks is 0"),
        ({"blocks": ()}, "blocks"),
        ({"blocks": (4,)}, "the space has cells of 1 to 3"),
        ({"cells": 200, "blocks": (1,)}, "sizes .1. have 136"),
    ],
)
def test_samples_that_cannot_be_are_refused(
    settings: dict[str, object], complaint: str, space: CellSpace
) -> None:
    wanted = {"cells": 10, "blocks": (1, 2), "seeds": 1, "seed": 0, **settings}
    with pytest.raises(SettingError, match=complaint):
        sample_plan("x", space=space, **wanted)  # type: ignore[arg-type]


def test_a_whole_small_space_makes_a_closed_table(tmp_path: object) -> None:
    from pathlib import Path

    small = CellSpace(operations=("sep3", "id"), max_blocks=2)
    jobs = list_jobs(sample_plan("x", 175, (1, 2), seeds=1, seed=0, space=small), small)
    folder = Path(str(tmp_path))
    trainer = MadeUpTrainer(small)
    table = build_table(jobs, made_up_head(small), folder / "x.h5", trainer, provenance={})
    assert table.closed and len(table) == 175
    part = build_table(jobs.take(range(174)), made_up_head(small), folder / "y.h5", trainer, provenance={})
    assert not part.closed
