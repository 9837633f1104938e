from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pnas_sim.study.accounts import Account, Reranking
from pnas_sim.study.efficiency import Costs, Efficiency, measure_efficiency
from pnas_sim.study.grid import Course
from pnas_sim.study.paper import PAPER_BUDGET, PAPER_ROWS
from pnas_sim.study.resampling import Resamples, draw_resamples

Floats = NDArray[np.float64]
COSTS = Costs(full=900_000.0, reranking=Reranking())


def make_course(values: Floats, lengths: list[int] | None = None, each: float = COSTS.full) -> Course:
    values = np.atleast_2d(np.asarray(values, np.float64))
    runs, count = values.shape
    size = np.array(lengths or [count] * runs, np.float64)
    examples = np.minimum(np.arange(1, count + 1)[None], size[:, None]) * each
    return Course(values, size, examples)


def step(at: int, count: int, height: float) -> Floats:
    """A curve that reaches a height at some model, and lies a little below it before."""
    return np.where(np.arange(1, count + 1) >= at, height, height - 0.01)


@pytest.mark.parametrize("row", PAPER_ROWS, ids=lambda row: f"{row.predictor}-{row.top}")
def test_papers_rows_come_out_of_curves_like_the_papers(row: object) -> None:
    assert isinstance(row, type(PAPER_ROWS[0]))
    own = make_course(np.tile(step(row.pnas_models, row.pnas_models, row.accuracy), (5, 1)))
    other = make_course(np.tile(step(row.rl_models, PAPER_BUDGET, row.accuracy), (5, 1)))
    found = measure_efficiency(own, other, draw_resamples(1, 5, 50), COSTS)
    assert found.accuracy.value == pytest.approx(row.accuracy)
    assert found.own_models == row.pnas_models
    assert found.needed.value == row.rl_models
    assert found.speed_up_models.value == pytest.approx(row.speed_up_models, abs=0.0501)
    assert found.speed_up_examples[Account.PAPER].value == pytest.approx(row.speed_up_examples, abs=0.05)
    if row is PAPER_ROWS[0]:
        assert found.speed_up_examples[Account.BOTH].value == pytest.approx(1.9, abs=0.05)


def test_never_reached_is_censored_not_averaged() -> None:
    own, other = make_course(np.full((4, 10), 0.9)), make_course(np.full((4, 60), 0.8))
    found = measure_efficiency(own, other, draw_resamples(2, 2, 100), COSTS)
    for figure in (found.needed, found.speed_up_models, found.speed_up_examples[Account.PAPER]):
        assert figure.value == math.inf
        assert figure.high == math.inf
        assert figure.reached == 0
        assert figure.low == figure.bound
    assert found.needed.low == 60
    assert found.speed_up_models.low == 6
    paper = found.speed_up_examples[Account.PAPER]
    assert paper.low == pytest.approx((60 + 60 * 15) / 10)  # no more than 60 can be reranked
    assert found.reached_in_runs == 0
    assert found.difference.low == pytest.approx(0.1)


def test_some_runs_reach_it() -> None:
    other = np.stack([step(5, 20, 0.9), step(30, 20, 0.9)])
    found = measure_efficiency(
        make_course(np.full((2, 4), 0.9)), make_course(other), draw_resamples(2, 1, 400), COSTS
    )
    assert found.reached_in_runs == 0.5
    assert found.needed_in_runs.value == 5  # the lower median: half got there
    assert found.needed.value == math.inf  # but the mean curve did not
    assert found.needed.low == 5
    assert 0.1 < found.needed.reached < 0.4  # where the first run was drawn twice


def test_one_run_has_figures_but_no_intervals() -> None:
    found = measure_efficiency(
        make_course(step(3, 10, 0.5)), make_course(step(20, 30, 0.5)), draw_resamples(1, 1), COSTS
    )
    assert found.speed_up_models.value == 2
    for end in (found.accuracy.low, found.needed.high, found.speed_up_models.high, found.needed.reached):
        assert math.isnan(end)


def test_own_first_crossing_is_before_its_end() -> None:
    found = measure_efficiency(
        make_course(step(7, 10, 0.5)), make_course(step(8, 30, 0.5)), draw_resamples(1, 1), COSTS
    )
    assert found.own_first.value == 7
    assert found.own_models == 10


def test_difference_is_read_at_the_own_number_of_models() -> None:
    own, other = make_course(np.full((1, 4), 0.5)), make_course(np.linspace(0.1, 1.0, 10))
    found = measure_efficiency(own, other, draw_resamples(1, 1), COSTS)
    assert found.difference.value == pytest.approx(0.5 - 0.4)
    assert found.difference_at_end.value == pytest.approx(0.5 - 1.0)


def brute_force(own: Course, other: Course, chosen: list[int]) -> dict[str, float]:
    """Everything from its definition, one resample."""
    target = sum(float(own.values[run, -1]) for run in chosen) / len(chosen)
    needed = math.inf
    for place in range(other.values.shape[1]):
        if sum(float(other.values[run, place]) for run in chosen) / len(chosen) >= target - 1e-12:
            needed = place + 1
            break
    models = sum(float(own.lengths[run]) for run in chosen) / len(chosen)
    spent = sum(float(own.examples[run, -1]) for run in chosen) / len(chosen)
    if math.isinf(needed):
        return {"needed": needed, "models": needed, "paper": needed}
    trained = sum(float(other.examples[run, int(needed) - 1]) for run in chosen) / len(chosen)
    reranked = min(needed, 250) * 15 * COSTS.full
    return {"needed": needed, "models": needed / models, "paper": (trained + reranked) / spent}


@settings(deadline=None, max_examples=60)
@given(
    worlds=st.integers(1, 3),
    seeds=st.integers(1, 2),
    sizes=st.tuples(st.integers(1, 12), st.integers(1, 25)),
    seed=st.integers(0, 999),
)
def test_all_figures_equal_brute_force(worlds: int, seeds: int, sizes: tuple[int, int], seed: int) -> None:
    rng, runs = np.random.default_rng(seed), worlds * seeds
    own = make_course(np.maximum.accumulate(np.round(rng.random((runs, sizes[0])), 1), axis=1))
    other = make_course(np.round(rng.random((runs, sizes[1])), 1), each=500_000.0)
    drawn = draw_resamples(worlds, seeds, 25, seed=seed)
    found = measure_efficiency(own, other, drawn, COSTS)
    check(found, brute_force(own, other, list(range(runs))), "value")
    if runs > 1:
        each = [brute_force(own, other, places) for places in drawn.places.tolist()]
        check(found, {name: sorted(one[name] for one in each)[-1] for name in each[0]}, "high")
        reached = sum(math.isfinite(one["needed"]) for one in each) / len(each)
        assert found.needed.reached == pytest.approx(reached)


def check(found: Efficiency, wanted: dict[str, float], end: str) -> None:
    figures = {
        "needed": found.needed,
        "models": found.speed_up_models,
        "paper": found.speed_up_examples[Account.PAPER],
    }
    for name, figure in figures.items():
        assert getattr(figure, end) == pytest.approx(wanted[name]), name


def test_resamples_of_other_runs_are_never_mixed() -> None:
    """A resample of one world compares both searches in that world only."""
    own, other = make_course(np.array([[0.2], [0.8]])), make_course(np.array([[0.2], [0.8]]))
    only_first = Resamples(np.array([[0, 0]]), 0.9)
    found = measure_efficiency(own, other, only_first, COSTS)
    assert (found.accuracy.low, found.accuracy.high) == (0.2, 0.2)
    assert found.needed.high == 1
