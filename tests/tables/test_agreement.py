from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pnas_tables.agreement import (
    RUN_ALARM,
    SUM_ALARM,
    Limits,
    Retrained,
    Verdict,
    find_limits,
    find_power,
    judge_run,
    judge_runs,
    score_differences,
    worst_verdict,
)
from pnas_tables.catalogue import find_table
from pnas_tables.format import read_table
from pnas_tables.record import Table
from pnas_tables.seeds import Deviation, fit_deviation
from pnas_tables.testing import NOISE, made_up_accuracy

Floats = NDArray[np.float64]
COUNT = 10  # runs of a check


def result(score: float, verdict: Verdict = Verdict.WITHIN_NOISE, freedom: int = 60) -> Retrained:
    return Retrained("x", 0, 0.5, 0.5, verdict, score, freedom)


def truth_of(table: Table) -> Floats:
    """The noise-free accuracy of each run's cell."""
    return made_up_accuracy(table.space, table.cells)[table.run_cells]


def train(truth: Floats, rng: np.random.Generator) -> Floats:
    """Accuracies of another seed, which differ more where they are low."""
    return truth + NOISE * np.exp(2 * (0.5 - truth)) * rng.normal(size=truth.shape)


def interchange(table: Table, values: Floats, rng: np.random.Generator) -> Floats:
    """Values (`[m]`) of cells, each with all its runs, interchanged among cells of a size."""
    first = np.searchsorted(table.run_cells, np.arange(len(table)))
    sizes, cells = table.space.block_counts(table.cells), np.arange(len(table))
    for size in np.unique(sizes):
        mine = np.flatnonzero(sizes == size)
        cells[mine] = rng.permutation(mine)
    return values[first[cells][table.run_cells] + np.arange(len(values)) - first[table.run_cells]]


def simulate(
    table: Table, tables: int, checks: int, forge: Callable[[Floats, np.random.Generator], Floats]
) -> tuple[float, float]:
    """How often a run, and the sum of squares, is beyond its limit in checks of tables so forged."""
    rng, truth, beyond = np.random.default_rng(0), truth_of(table), np.zeros(2)
    for _ in range(tables):
        stored = forge(train(truth, rng), rng)
        deviation = fit_deviation(replace(table, valid_accuracy=stored), stored)
        limits = find_limits(COUNT, deviation.freedom)
        for _ in range(checks):
            runs = rng.choice(len(truth), COUNT, replace=False)
            scores = score_differences(stored[runs], train(truth[runs], rng), deviation)
            beyond += [scores.max() > limits.run, (scores**2).sum() > limits.squares]
    run, squares = beyond / (tables * checks)
    return float(run), float(squares)


def test_honest_checks_fail_at_about_the_stated_rates(table: Table) -> None:
    run, squares = simulate(table, 1000, 30, lambda values, rng: values)
    assert RUN_ALARM / 3 < run < 3 * RUN_ALARM
    assert SUM_ALARM / 2 < squares < 2 * SUM_ALARM


def test_interchanged_accuracies_are_found_in_most_checks(table: Table) -> None:
    _, squares = simulate(table, 10, 20, lambda values, rng: interchange(table, values, rng))
    assert squares > 0.95


def test_raised_accuracies_are_found(table: Table) -> None:
    run, squares = simulate(table, 10, 20, lambda values, rng: values + 0.1)
    assert run == squares == 1.0


def test_limits_are_those_of_the_normal_law_where_the_deviation_is_known() -> None:
    limits = find_limits(10, 10**6, run_alarm=0.001, sum_alarm=0.01)
    assert limits.run == pytest.approx(3.8906, abs=1e-3)  # of 1 in 20,000 on each side
    assert limits.squares == pytest.approx(23.209, abs=1e-2)  # chi-square of 10, 1 in 100
    few = find_limits(10, 5)
    assert few.run > 2 * limits.run and few.squares > 2 * limits.squares
    assert find_limits(10, 0) == Limits(0.0, 0.0)


def test_scores_are_in_deviations_at_the_accuracy_between(table: Table) -> None:
    deviation = Deviation(middle=0.01, slope=-1.0, center=0.5, spread=0.1, freedom=9)
    stored, found = np.array([0.5, 0.4, 0.5]), np.array([0.5, 0.6, np.nan])
    scores = score_differences(stored, found, deviation)
    assert scores.tolist() == [0.0, pytest.approx(0.2 / math.sqrt(2) / 0.01), math.inf]
    low = score_differences(np.array(0.30), np.array(0.32), deviation)
    assert low < score_differences(np.array(0.50), np.array(0.52), deviation)
    assert score_differences(stored, stored, Deviation()).tolist() == [math.inf] * 3


def test_a_run_is_identical_within_its_limit_or_neither() -> None:
    limits = Limits(4.0, 20.0)
    assert judge_run(0.0, True, limits) is Verdict.IDENTICAL
    assert judge_run(4.0, False, limits) is Verdict.WITHIN_NOISE
    assert judge_run(4.1, False, limits) is judge_run(math.inf, False, limits) is Verdict.DIFFERS


def test_the_worst_run_speaks_for_the_table() -> None:
    identical, near = result(0.0, Verdict.IDENTICAL), result(0.5)
    assert worst_verdict([identical] * 3) is Verdict.IDENTICAL
    assert worst_verdict([near, identical]) is Verdict.WITHIN_NOISE
    assert worst_verdict([near, identical, result(5.0, Verdict.DIFFERS)]) is Verdict.DIFFERS
    assert worst_verdict([result(0.0, Verdict.IDENTICAL, freedom=0)]) is Verdict.IDENTICAL


def test_runs_each_near_may_be_too_far_off_together() -> None:
    runs = [result(2.0)] * 10
    found = judge_runs(runs)
    assert (found.verdict, found.squares, found.largest) == (Verdict.DIFFERS, 40.0, 2.0)
    assert found.limits.run > 2.0 and found.limits == find_limits(10, 60)
    assert judge_runs(runs[:2]).verdict is Verdict.WITHIN_NOISE


def test_both_tests_are_told_with_their_rates() -> None:
    first, second = judge_runs([result(2.0)] * 10).list_lines()
    assert "difference: 2.00 " in first and "limit 4.17" in first and "1 in 1,000 honest checks" in first
    assert "squares: 40.0 over 10 runs" in second and "limit 26.3" in second and "1 in 100 " in second
    (line,) = judge_runs([result(math.inf, Verdict.DIFFERS, freedom=0)]).list_lines()
    assert "no cell of the table has two seeds" in line


def test_power_is_what_checks_of_interchanged_tables_find(table: Table) -> None:
    rng = np.random.default_rng(0)
    assert find_power(table, COUNT) > 0.95 > find_power(table, 1) > 0.5
    assert find_power(table, 500, checks=100) == 1.0
    sizes, forged = table.space.block_counts(table.cells)[table.run_cells], table.valid_accuracy.copy()
    for size in np.unique(sizes):  # each run by itself: then seeds seem to differ as cells do
        forged[sizes == size] = rng.permutation(forged[sizes == size])
    assert find_power(replace(table, valid_accuracy=forged), COUNT) < 0.1


@pytest.fixture(scope="module")
def shipped() -> Table:
    return read_table(find_table("cifar10-16px"))


def test_a_check_of_the_shipped_table_finds_most_interchanges(shipped: Table) -> None:
    assert find_power(shipped, COUNT) > 0.8


def test_other_seeds_of_the_shipped_table_pass_as_honest(shipped: Table) -> None:
    """Real seeds against each other, the deviation measured on other cells: no law is quite as they are."""
    rng, values, scores = np.random.default_rng(0), shipped.valid_accuracy, []
    repeated = np.flatnonzero(np.bincount(shipped.run_cells) > 1)
    for part in np.array_split(rng.permutation(repeated), 10):
        rest: Any = np.where(np.isin(shipped.run_cells, part), 2, shipped.status).astype(np.uint8)
        deviation = fit_deviation(replace(shipped, status=rest), values)
        # the last two: of three or more the first may be why there are others
        pairs = np.searchsorted(shipped.run_cells, part, side="right")[:, None] - [2, 1]
        scores += score_differences(*values[pairs].T, deviation).tolist()
    drawn = rng.choice(scores, (20_000, COUNT))
    limits = find_limits(COUNT, deviation.freedom)
    beyond = (drawn.max(axis=1) > limits.run) | ((drawn**2).sum(axis=1) > limits.squares)
    assert beyond.mean() < 0.06
