from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pnas_sim.study.curves import Kind
from pnas_sim.study.finished import FinishedRun
from pnas_sim.study.grid import arrange_runs
from pnas_sim.study.landmarks import Landmarks
from pnas_sim.study.resampling import draw_resamples
from pnas_sim.study.targets import find_best_known, measure_regrets, reach_targets

MakeRun = Callable[..., FinishedRun]


def make_mark(world: int, low: float, high: float, best: float = 0.0) -> Landmarks:
    known = {"top 1%": low, "top 0.1%": high}
    return Landmarks(
        world=world,
        data="abc",
        sample=10,
        observed=known,
        expected=known,
        local_evaluations=0,
        local_best=best,
        local_cell="",
    )


def test_each_run_is_measured_by_its_own_world(make_run: MakeRun) -> None:
    runs = [make_run([0.1, 0.3, 0.5], world=world) for world in (0, 1)]
    grid = arrange_runs(runs, ["random"], [0, 1], [0])
    marks = [make_mark(0, 0.3, 0.6), make_mark(1, 0.5, 0.5)]
    rows = reach_targets(grid, marks, [Kind.EXPECTED], draw_resamples(2, 1, 50))
    easy, hard = rows
    assert (easy.target, easy.models.value, easy.reached) == ("top 1%", 2, 1.0)
    assert easy.threshold == pytest.approx(0.4)
    assert (hard.models.value, hard.reached) == (3, 0.5)
    assert hard.models.high == math.inf


def test_lucky_cell_is_judged_by_its_noise_free_value(make_run: MakeRun) -> None:
    """The best observed cell is at the second place; it is worth less than the first."""
    run = make_run([0.5, 0.9], [0.5, 0.2])
    grid = arrange_runs([run], ["random"], [0], [0])
    marks = [make_mark(0, 0.4, 0.45, best=0.6)]
    found = {
        (row.kind, row.at): row.regret.value
        for row in measure_regrets(grid, marks, list(Kind), draw_resamples(1, 1), "random")
    }
    assert found[Kind.EXPECTED, "end"] == pytest.approx(0.6 - 0.2)
    assert found[Kind.OBSERVED, "end"] == pytest.approx(0.6 - 0.9)


def test_best_known_is_of_anything_visited_in_that_world(make_run: MakeRun) -> None:
    runs = [
        make_run([0.5, 0.1], [0.5, 0.7], label="a", world=0),
        make_run([0.6, 0.6], [0.6, 0.6], label="b", world=0),
        make_run([0.1, 0.1], [0.1, np.nan], label="a", world=1),
        make_run([0.2, np.nan], [0.2, np.nan], label="b", world=1),
    ]
    grid = arrange_runs(runs, ["a", "b"], [0, 1], [0])
    marks = [make_mark(0, 0.4, 0.45, best=0.3), make_mark(1, 0.4, 0.45, best=0.35)]
    found = find_best_known(grid, marks)
    assert [(one.world, one.value, one.found_by, one.model) for one in found] == [
        (0, 0.7, "a", 1),
        (1, 0.35, "", 0),  # the landmark's own
    ]


def test_targets_are_of_the_kind_of_value_that_is_held_against_them(make_run: MakeRun) -> None:
    """Noise lifts the observed values and the observed target alike."""
    run = make_run([0.5, 0.6, 0.9], [0.5, 0.4, 0.45])
    mark = replace(make_mark(0, 0.0, 0.45), observed={"top 1%": 0.0, "top 0.1%": 0.7})
    rows = reach_targets(arrange_runs([run], ["random"], [0], [0]), [mark], list(Kind), draw_resamples(1, 1))
    found = {row.kind: (row.threshold, row.models.value) for row in rows if row.target == "top 0.1%"}
    assert found == {Kind.OBSERVED: (0.7, 3), Kind.EXPECTED: (0.45, 1)}


def test_all_that_was_visited_counts_whatever_its_size(make_run: MakeRun) -> None:
    """The best cell of a search that grows may be a small one."""
    run = make_run([0.9, 0.1, 0.2, 0.3], blocks=[1, 1, 2, 2], label="pnas")
    grid = arrange_runs([run], ["pnas"], [0], [0])
    (easy, _) = reach_targets(grid, [make_mark(0, 0.8, 1.0)], [Kind.EXPECTED], draw_resamples(1, 1))
    assert (easy.models.value, easy.reached) == (1, 1.0)
    last = measure_regrets(grid, [make_mark(0, 0, 0, 1.0)], [Kind.EXPECTED], draw_resamples(1, 1), "pnas")[-1]
    assert (last.at, last.regret.value) == ("end", pytest.approx(0.1))


def test_what_no_run_reached_is_known_up_to_where_each_ended(make_run: MakeRun) -> None:
    lengths = (2, 5, 3)
    runs = [make_run(np.linspace(0.1, 0.4, count), world=w) for w, count in enumerate(lengths)]
    grid = arrange_runs(runs, ["random"], [0, 1, 2], [0])
    marks = [make_mark(world, low, 1.0) for world, low in enumerate((0.5, 0.6, 0.9))]
    easy, _ = reach_targets(grid, marks, [Kind.EXPECTED], draw_resamples(3, 1, 50))
    assert (easy.models.value, easy.models.bound, easy.models.low) == (math.inf, 3, 2)
    assert easy.threshold == pytest.approx(2.0 / 3)


def test_a_target_that_a_world_has_not_is_left_out(make_run: MakeRun) -> None:
    runs = [make_run([0.5, 0.6], world=world) for world in (0, 1)]
    marks = [make_mark(0, 0.1, 0.2), replace(make_mark(1, 0.1, 0.2), expected={"top 1%": 0.1})]
    rows = reach_targets(
        arrange_runs(runs, ["random"], [0, 1], [0]), marks, [Kind.EXPECTED], draw_resamples(2, 1, 9)
    )
    assert [row.target for row in rows] == ["top 1%"]


def test_of_equal_finds_the_first_is_the_best_known(make_run: MakeRun) -> None:
    runs = [make_run([0.5, 0.5], label="a"), make_run([0.5], label="b")]
    grid = arrange_runs(runs, ["a", "b"], [0], [0])
    (found,) = find_best_known(grid, [make_mark(0, 0, 0, best=0.1)])
    assert (found.found_by, found.model) == ("a", 0)
    (local,) = find_best_known(grid, [make_mark(0, 0, 0, best=0.5)])
    assert local.found_by == ""


def test_worlds_without_landmarks_have_no_best_known(make_run: MakeRun) -> None:
    runs = [make_run([0.5], world=world) for world in (0, 1)]
    found = find_best_known(arrange_runs(runs, ["random"], [0, 1], [0]), [make_mark(1, 0, 0, best=0.1)])
    assert [(one.world, one.value) for one in found] == [(1, 0.5)]


def test_equal_is_each_run_of_the_references_own_number(make_run: MakeRun) -> None:
    lengths, rising = (1, 3), [0.1, 0.2, 0.3, 0.4]
    runs = [make_run([0.0] * count, label="pnas", world=w) for w, count in enumerate(lengths)]
    runs += [make_run(rising, label="random", world=w) for w in (0, 1)]
    grid = arrange_runs(runs, ["pnas", "random"], [0, 1], [0])
    marks = [make_mark(world, 0, 0, 1.0) for world in (0, 1)]
    rows = measure_regrets(grid, marks, [Kind.EXPECTED], draw_resamples(2, 1, 50), "pnas")
    (equal,) = (row.regret for row in rows if (row.search, row.at) == ("random", "equal"))
    assert (equal.value, equal.low, equal.high) == tuple(pytest.approx(x) for x in (0.8, 0.7, 0.9))


def test_equal_models_are_the_references(make_run: MakeRun) -> None:
    runs = [make_run([0.5, 0.6], label="pnas"), make_run([0.1, 0.2, 0.3], label="random")]
    grid = arrange_runs(runs, ["pnas", "random"], [0], [0])
    rows = measure_regrets(grid, [make_mark(0, 0, 0, 1.0)], [Kind.EXPECTED], draw_resamples(1, 1), "pnas")
    found = {(row.search, row.at): row.regret.value for row in rows}
    assert found["random", "equal"] == pytest.approx(0.8)
    assert found["random", "end"] == pytest.approx(0.7)
