from __future__ import annotations

import json
from collections import Counter
from hashlib import sha256

import numpy as np
import pytest

from pnas_sim.errors import SettingError
from pnas_sim.space import CellSpace
from pnas_tables.build import build_table
from pnas_tables.plans import CIFAR10_16PX, Plan, Step, draw_cells, find_plan, list_jobs, sample_plan
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


def counts_after(jobs: int) -> dict[tuple[int, int], int]:
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
    whole = counts_after(10**6)
    assert whole == {(1, 0): 136, **{(b, 0): 300 for b in (2, 3, 4)}, (5, 0): 700, (5, 1): 30}


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
    with pytest.raises(SettingError, match="plan 'x' is unknown; known are: cifar10-16px"):
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
        ({"blocks": (0,)}, "blocks is 0"),
        ({"blocks": ()}, "blocks"),
        ({"blocks": (4,)}, "the space has cells of 1 to 3"),
        ({"cells": 200, "blocks": (1,)}, "sizes .1. have 136"),
    ],
)
def test_samples_that_cannot_be_are_refused(
    settings: dict[str, object], complaint: str, space: CellSpace
) -> None:
    wanted = {"cells": 10, "blocks": (1, 2), "seeds": 1, **settings}
    with pytest.raises(SettingError, match=complaint):
        sample_plan("x", seed=0, space=space, **wanted)  # type: ignore[arg-type]


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
