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
    TEST,
    VALID,
    Difference,
    Limits,
    Retrained,
    Verdict,
    find_limits,
    find_power,
    judge_run,
    judge_runs,
    list_figures,
    score_differences,
    share_limits,
    worst_verdict,
)
from pnas_tables.catalogue import find_table
from pnas_tables.format import read_table
from pnas_tables.record import Table
from pnas_tables.seeds import Deviation, fit_deviation
from pnas_tables.testing import NOISE, made_up_accuracy

Floats = NDArray[np.float64]
COUNT = 10  # runs of a check


def result(
    score: float, verdict: Verdict = Verdict.WITHIN_NOISE, freedom: int = 60, **others: float
) -> Retrained:
    """A run whose validation accuracy, and whatever else there is, has this score."""
    scores = {VALID: score, **others}
    differences = [Difference(name, 0.5, 0.5 + one, one, freedom) for name, one in scores.items()]
    return Retrained("x", 0, verdict, tuple(differences))


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


def test_figures_are_those_that_the_table_knows(table: Table) -> None:
    early = [f"{VALID} at epoch 0.25", f"{VALID} at epoch 0.5"]
    assert list(list_figures(table)) == [VALID, TEST, *early]
    np.testing.assert_array_equal(list_figures(table)[early[1]], table.curves[:, 1])
    unknown = replace(table, test_accuracy=np.full_like(table.test_accuracy, np.nan))
    assert list(list_figures(unknown)) == [VALID, *early]
    curves = table.curves.copy()
    curves[3, -1] += 0.01  # the last checkpoint is the validation accuracy, unless it says otherwise
    assert list(list_figures(replace(table, curves=curves))) == [VALID, TEST, *early, f"{VALID} at epoch 1.0"]
    curves[3, -1] = np.nan
    assert len(list_figures(replace(table, curves=curves))) == 4


def test_a_run_is_identical_within_its_limits_or_neither() -> None:
    limits = {VALID: Limits(4.0, 20.0), "other": Limits(3.0, 20.0)}

    def judge(score: float, other: float, same_status: bool = True) -> Verdict:
        return judge_run(result(score, other=other).differences, limits, same_status)

    assert judge(0.0, 0.0) is Verdict.IDENTICAL
    assert judge(4.0, 0.0) is judge(0.0, 3.0) is judge(4.0, 3.0, False) is Verdict.WITHIN_NOISE
    assert judge(4.1, 0.0) is judge(0.0, 3.1) is judge(math.inf, 0.0) is Verdict.DIFFERS
    assert judge(0.0, 0.0, False) is Verdict.DIFFERS, "the same figures come to the same end"


def test_the_worst_run_speaks_for_the_table() -> None:
    identical, near = result(0.0, Verdict.IDENTICAL), result(0.5)
    assert worst_verdict([identical] * 3) is Verdict.IDENTICAL
    assert worst_verdict([near, identical]) is Verdict.WITHIN_NOISE
    assert worst_verdict([near, identical, result(5.0, Verdict.DIFFERS)]) is Verdict.DIFFERS
    assert worst_verdict([result(0.0, Verdict.IDENTICAL, freedom=0)]) is Verdict.IDENTICAL


def test_runs_each_near_may_be_too_far_off_together() -> None:
    runs = [result(2.0)] * 10
    found = judge_runs(runs)
    (test,) = found.tests
    assert (found.verdict, test.squares, test.largest) == (Verdict.DIFFERS, 40.0, 2.0)
    assert test.limits.run > 2.0 and test.limits == find_limits(10, 60)
    assert judge_runs(runs[:2]).verdict is Verdict.WITHIN_NOISE


def test_each_figure_has_its_share_of_the_alarms() -> None:
    found = judge_runs([result(0.5, other=2.0)] * 9 + [result(0.5)])
    valid, other = found.tests
    assert found.verdict is Verdict.DIFFERS and valid.squares == 2.5 and other.squares == 36.0
    assert valid.limits == share_limits(10, 60, 2) == find_limits(10, 60, RUN_ALARM / 2, SUM_ALARM / 2)
    assert (other.count, other.limits) == (9, share_limits(9, 60, 2))
    assert judge_runs([result(0.5, other=1.0)] * 10).verdict is Verdict.WITHIN_NOISE


def test_tests_are_told_with_their_rates() -> None:
    first, meaning = judge_runs([result(2.0)] * 10).list_lines()
    assert first == (
        "validation accuracy: largest difference 2.00 deviations of two seeds' difference (limit 4.17), "
        "sum of squares 40.0 over 10 runs (limit 26.3)"
    )
    assert "1 in 1,000 honest checks of 10 runs" in meaning and "1 in 100 a sum of squares" in meaning
    lines = judge_runs([result(math.inf, Verdict.DIFFERS, freedom=0)]).list_lines()
    assert "no cell of the table has two seeds" in lines[0]


def test_a_run_is_told_with_what_is_furthest_off() -> None:
    assert result(0.0, Verdict.IDENTICAL).line() == (
        "x seed 0: validation accuracy 0.5000, now 0.5000: identical"
    )
    lost = replace(result(0.1, Verdict.DIFFERS, other=7.0), status="diverged, now ok")
    assert lost.line() == (
        "x seed 0: validation accuracy 0.5000, now 0.6000; other 0.5000, now 7.5000; "
        "status diverged, now ok: differs"
    )
    assert (lost.stored, lost.found, lost.score) == (0.5, 0.6, 7.0)


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
    repeated = np.flatnonzero(np.bincount(shipped.run_cells) > 1)
    parts = np.array_split(np.random.default_rng(0).permutation(repeated), 10)
    figures = list_figures(shipped)
    # the same checks for all figures: those of a run go together
    drawn = np.random.default_rng(1).integers(len(repeated), size=(20_000, COUNT))
    beyond = np.zeros(len(drawn), np.bool_)
    for values in figures.values():
        scores, freedom = score_other_seeds(shipped, values, parts)
        limits = share_limits(COUNT, freedom, len(figures))
        beyond |= (scores[drawn].max(axis=1) > limits.run) | (
            (scores[drawn] ** 2).sum(axis=1) > limits.squares
        )
    assert len(figures) == 5 and beyond.mean() < 0.03


def score_other_seeds(table: Table, values: Floats, parts: list[Any]) -> tuple[Floats, int]:
    """Scores of two seeds of each repeated cell, a part at a time; degrees of freedom of what they are in."""
    scores: list[float] = []
    for part in parts:
        rest: Any = np.where(np.isin(table.run_cells, part), 2, table.status).astype(np.uint8)
        deviation = fit_deviation(replace(table, status=rest), values)
        # the last two: of three or more the first may be why there are others
        pairs = np.searchsorted(table.run_cells, part, side="right")[:, None] - [2, 1]
        scores += score_differences(*values[pairs].T, deviation).tolist()
    return np.array(scores), deviation.freedom
