from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pnas_sim.errors import RunError, SettingError
from pnas_sim.study.curves import Counting, Kind
from pnas_sim.study.finished import FinishedRun
from pnas_sim.study.grid import arrange_runs, demand_tops

MakeRun = Callable[..., FinishedRun]


def test_runs_stand_in_order_of_world_then_seed(make_run: MakeRun) -> None:
    runs = [
        make_run([0.1], label=label, world=world, seed=seed)
        for seed in (7, 0)
        for world in (1, 0)
        for label in ("b", "a")
    ]
    grid = arrange_runs(runs, ["b", "a"], [1, 0], [7, 0])
    assert grid.labels == ("b", "a")
    places = [(run.facts.world, run.facts.seed) for run in grid.runs["a"]]
    assert places == [(0, 0), (0, 7), (1, 0), (1, 7)]


def test_paper_counts_the_last_level_of_growing_searches_only(make_run: MakeRun) -> None:
    values, blocks = [0.9, 0.1, 0.3, 0.2], [1, 2, 2, 2]
    grid = arrange_runs(
        [make_run(values, blocks=blocks, label="pnas"), make_run(values, blocks=[5] * 4)],
        ["pnas", "random"],
        [0],
        [0],
    )
    ends = {
        (label, counting): float(grid.follow(label, 1, counting)[0].observed[-1])
        for label in grid.labels
        for counting in Counting
    }
    assert ends["pnas", Counting.PAPER] == 0.3
    assert ends["pnas", Counting.SYMMETRICAL] == 0.9
    assert ends["random", Counting.PAPER] == ends["random", Counting.SYMMETRICAL] == 0.9


def test_course_adds_examples_and_knows_lengths(make_run: MakeRun) -> None:
    runs = [make_run([0.1, 0.5], seed=0), make_run([0.2, 0.1, 0.4], seed=1)]
    grid = arrange_runs(runs, ["random"], [0], [0, 1])
    course = grid.join("random", grid.follow("random", 1, Counting.PAPER), Kind.OBSERVED)
    assert course.values.tolist() == [[0.1, 0.5, 0.5], [0.2, 0.2, 0.4]]
    assert course.lengths.tolist() == [2, 3]
    assert course.examples.tolist() == [[10, 20, 20], [10, 20, 30]]
    assert course.read_at(np.array([1.0, 99.0])).tolist() == [0.1, 0.4]


def test_a_search_with_a_policy_reranks_in_the_papers_account(make_run: MakeRun) -> None:
    plain, learner = make_run([0.1, 0.5]), make_run([0.2, 0.1], label="ppo")
    learner = replace(learner, facts=replace(learner.facts, first_entropy=30.0, last_entropy=20.0))
    grid = arrange_runs([plain, learner], ["random", "ppo"], [0], [0])
    courses = [grid.join(name, grid.follow(name, 1, Counting.PAPER), Kind.OBSERVED) for name in grid.labels]
    assert [course.reranks for course in courses] == [False, True]


def test_what_may_not_be_compared_is_refused(make_run: MakeRun) -> None:
    one = make_run([0.1])
    with pytest.raises(RunError, match=r"1 of 2 runs are missing \(random, world 0, seed 1\)"):
        arrange_runs([one], ["random"], [0], [0, 1])
    with pytest.raises(RunError, match="two runs are of random, world 0, seed 0"):
        arrange_runs([one, make_run([0.2])], ["random"], [0], [0])
    other = make_run([0.2], label="b", data="other table")
    with pytest.raises(RunError, match=r"checksum other table.* one table only"):
        arrange_runs([one, other], ["random", "b"], [0], [0])
    changed = make_run([0.2], seed=1)
    changed = replace(changed, facts=replace(changed.facts, fingerprint="g"))
    with pytest.raises(RunError, match="different settings"):
        arrange_runs([one, changed], ["random"], [0], [0, 1])
    with pytest.raises(RunError, match="evaluated nothing"):
        arrange_runs([make_run([])], ["random"], [0], [0])


def test_worlds_may_have_data_of_their_own(make_run: MakeRun) -> None:
    runs = [make_run([0.1], world=world, data=f"table {world}") for world in (0, 1)]
    assert len(arrange_runs(runs, ["random"], [0, 1], [0]).runs["random"]) == 2


def test_too_few_cells_for_the_top_are_told(make_run: MakeRun) -> None:
    grid = arrange_runs([make_run([0.1, np.nan, 0.2])], ["random"], [0], [0])
    demand_tops(grid, [1, 2])
    with pytest.raises(SettingError, match="top 3 asked for; random, world 0, seed 0 has 2 cells"):
        demand_tops(grid, [1, 3])


def test_expected_values_are_known_or_not(make_run: MakeRun) -> None:
    known = make_run([0.1, np.nan], [0.1, np.nan])
    unknown = make_run([0.1, 0.2], [0.1, np.nan])
    assert arrange_runs([known], ["random"], [0], [0]).knows_expected()
    assert not arrange_runs([unknown], ["random"], [0], [0]).knows_expected()
