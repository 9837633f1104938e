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
from pnas_sim.study.resampling import Censored, Resamples, draw_resamples

Floats = NDArray[np.float64]
COSTS = Costs(full=900_000.0, reranking=Reranking())


def make_course(
    values: Floats, lengths: list[int] | None = None, each: float = COSTS.full, reranks: bool = False
) -> Course:
    values = np.atleast_2d(np.asarray(values, np.float64))
    runs, count = values.shape
    size = np.array(lengths or [count] * runs, np.float64)
    examples = np.minimum(np.arange(1, count + 1)[None], size[:, None]) * each
    return Course(values, size, examples, reranks)


def step(at: int, count: int, height: float) -> Floats:
    """A curve that reaches a height at some model, and lies a little below it before."""
    return np.where(np.arange(1, count + 1) >= at, height, height - 0.01)


@pytest.mark.parametrize("row", PAPER_ROWS, ids=lambda row: f"{row.predictor}-{row.top}")
def test_papers_rows_come_out_of_curves_like_the_papers(row: object) -> None:
    assert isinstance(row, type(PAPER_ROWS[0]))
    own = make_course(np.tile(step(row.pnas_models, row.pnas_models, row.accuracy), (5, 1)))
    policy = np.tile(step(row.rl_models, PAPER_BUDGET, row.accuracy), (5, 1))
    other = make_course(policy, reranks=True)
    found = measure_efficiency(own, other, draw_resamples(1, 5, 50), COSTS)
    assert found.accuracy.value == pytest.approx(row.accuracy)
    assert found.own_models == row.pnas_models
    assert found.needed.value == row.rl_models
    assert found.speed_up_models.value == pytest.approx(row.speed_up_models, abs=0.0501)
    assert found.speed_up_examples[Account.PAPER].value == pytest.approx(row.speed_up_examples, abs=0.05)
    if row is PAPER_ROWS[0]:
        assert found.speed_up_examples[Account.BOTH].value == pytest.approx(1.9, abs=0.05)


def test_never_reached_is_censored_not_averaged() -> None:
    own, other = make_course(np.full((4, 10), 0.9)), make_course(np.full((4, 60), 0.8), reranks=True)
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


def average(values: Floats, chosen: list[int]) -> float:
    return sum(float(values[run]) for run in chosen) / len(chosen)


def charge(models: float, examples: float, pays: bool) -> float:
    """M1 E1 + M2 E2."""
    return examples + (min(models, 250) * 15 * COSTS.full if pays else 0.0)


def define(own: Course, other: Course, chosen: list[int], models: float | None = None) -> dict[str, float]:
    """Everything from its definition, of some runs; after so many models, or those that are needed."""
    target = average(own.finals, chosen)
    means = [average(other.values[:, place], chosen) for place in range(other.values.shape[1])]
    reaching = [place + 1 for place, mean in enumerate(means) if mean >= target - 1e-12]
    lasting = [n for n in reaching if min(means[n - 1 :]) >= target - 1e-12]
    place = models or (reaching[0] if reaching else math.inf)
    needed, for_good = (
        average(np.minimum(other.lengths, at), chosen) if math.isfinite(at) else math.inf
        for at in (place, models or (lasting[0] if lasting else math.inf))
    )
    spent = average(own.lengths, chosen), average(own.examples[:, -1], chosen)
    found = {"needed": needed, "for good": for_good, "models": needed / spent[0]}
    trained = math.inf if math.isinf(place) else average(other.examples[:, int(place) - 1], chosen)
    for account in Account:
        charged = [
            account is Account.BOTH or (account is Account.PAPER and one.reranks) for one in (own, other)
        ]
        found[account] = charge(needed, trained, charged[1]) / charge(*spent, charged[0])
    return found


def read_figures(found: Efficiency) -> dict[str, Censored]:
    return {
        "needed": found.needed,
        "for good": found.needed_for_good,
        "models": found.speed_up_models,
        **found.speed_up_examples,
    }


def draw_course(rng: np.random.Generator, lengths: list[int], rising: bool, each: float) -> Course:
    """Runs of these lengths: each stays where it ended."""
    values = np.round(rng.random((len(lengths), max(lengths))), 1)
    values = np.maximum.accumulate(values, axis=1) if rising else values
    for row, length in zip(values, lengths, strict=True):
        row[length:] = row[length - 1]
    return make_course(values, lengths, each, reranks=bool(rng.integers(2)))


@settings(deadline=None, max_examples=60)
@given(
    worlds=st.integers(1, 3),
    seeds=st.integers(1, 2),
    sizes=st.tuples(st.integers(1, 12), st.integers(1, 25)),
    seed=st.integers(0, 999),
)
def test_all_figures_equal_brute_force(worlds: int, seeds: int, sizes: tuple[int, int], seed: int) -> None:
    """Runs of one search differ in length, too: the mean of what each spent counts."""
    rng, runs = np.random.default_rng(seed), worlds * seeds
    lengths = [rng.integers(1, size + 1, runs).tolist() for size in sizes]
    own = draw_course(rng, lengths[0], True, COSTS.full)
    other = draw_course(rng, lengths[1], False, 500_000.0)
    drawn = draw_resamples(worlds, seeds, 25, seed=seed)
    found = measure_efficiency(own, other, drawn, COSTS)
    whole, longest = list(range(runs)), max(lengths[1])
    bounds = define(own, other, whole, longest)
    each = [define(own, other, places) for places in drawn.places.tolist()]
    for name, figure in read_figures(found).items():
        assert figure.value == pytest.approx(define(own, other, whole)[name]), name
        assert figure.bound == pytest.approx(bounds[name]), name
        if runs > 1:  # of 25 resamples the interval ends at the outermost
            resampled = [one[name] for one in each]
            assert figure.high == pytest.approx(max(resampled)), name
            assert figure.low == pytest.approx(min(*resampled, bounds[name])), name
            assert figure.reached == pytest.approx(np.isfinite(resampled).mean()), name
    alone = [define(own, other, [run])["needed"] for run in whole]
    assert found.reached_in_runs == pytest.approx(np.isfinite(alone).mean())
    middle, each_middle = (
        [sorted(alone[run] for run in places)[(runs - 1) // 2] for places in lists]
        for lists in ([whole], drawn.places.tolist())
    )
    assert [found.needed_in_runs.value] == middle
    if runs > 1:
        least = np.minimum(alone, lengths[1])
        lows = [sorted(least[run] for run in places)[(runs - 1) // 2] for places in drawn.places.tolist()]
        assert (found.needed_in_runs.low, found.needed_in_runs.high) == (min(lows), max(each_middle))


def test_models_and_examples_agree_where_every_model_costs_the_same() -> None:
    """Runs that ended early cost what they evaluated, however long the others went on."""
    own, heights = make_course(np.full((2, 100), 0.9)), np.stack([step(200, 900, 0.8), step(900, 900, 0.85)])
    for other in (make_course(heights, [200, 900]), make_course(heights + 0.075, [200, 900])):
        found = measure_efficiency(own, other, draw_resamples(2, 1, 200), COSTS)
        free = found.speed_up_examples[Account.NONE]
        for name in ("value", "low", "high", "bound"):
            assert getattr(found.speed_up_models, name) == pytest.approx(getattr(free, name)), name
    assert found.needed.value == (200 + 900) / 2
    assert found.needed.bound == 550


def test_a_run_that_ended_early_bounds_nothing_beyond_its_end() -> None:
    other = make_course(np.full((2, 900), 0.8), [200, 900])
    found = measure_efficiency(make_course(np.full((2, 100), 0.9)), other, draw_resamples(2, 1, 200), COSTS)
    assert (found.needed.value, found.needed.bound, found.needed.low) == (math.inf, 550, 550)
    assert (found.needed_in_runs.bound, found.needed_in_runs.low) == (200, 200)


def test_each_run_is_held_against_its_own_world_and_seed() -> None:
    """The first run's target is out of the other's reach there; the mean target is not."""
    own = make_course(np.array([[0.9], [0.1]]))
    other = make_course(np.array([[0.8, 0.8, 0.8], [0.0, 0.0, 0.1]]))
    found = measure_efficiency(own, other, Resamples(np.array([[0, 0], [1, 1]]), 0.9), COSTS)
    assert (found.needed_in_runs.value, found.reached_in_runs) == (3, 0.5)
    assert (found.needed_in_runs.low, found.needed_in_runs.high) == (3, math.inf)
    assert (found.difference.value, found.difference.low) == (pytest.approx(0.1), pytest.approx(0.1))


def test_resamples_of_other_runs_are_never_mixed() -> None:
    """A resample of one world compares both searches in that world only."""
    own, other = make_course(np.array([[0.2], [0.8]])), make_course(np.array([[0.2], [0.8]]))
    only_first = Resamples(np.array([[0, 0]]), 0.9)
    found = measure_efficiency(own, other, only_first, COSTS)
    assert (found.accuracy.low, found.accuracy.high) == (0.2, 0.2)
    assert found.needed.high == 1
