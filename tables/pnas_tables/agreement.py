"""Whether runs that were trained again agree with the stored ones: each by itself, and all of them together.

On the machine and versions of the table the accuracies are equal to the last bit. Elsewhere sums are rounded
in another order, which acts as another seed does: stored and found accuracy differ as two seeds do. How far
seeds lie apart depends on the accuracy, so a run's *score* is the difference in units of the deviation that
the surrogate's noise has there (`pnas_tables.seeds.Deviation`), times the root of 2 for two trainings.

Of an honest check elsewhere, scores are normal deviates, over a deviation that was itself measured, with so
many degrees of freedom: one score follows Student's law, the mean of n squares Fisher's (which is the law of
chi-square over n, once the deviation is well known). Two limits are set by these laws. The one of a single
run finds a made-up row; the one of the sum of squares finds rows that are each not far off, as those of which
the accuracies were interchanged. An honest check goes beyond the first in 1 of 1,000, beyond the second in
1 of 100, where seeds' noise is normal.

Hardly found is a table of which single runs were interchanged, those of repeated cells too: it says that
seeds differ as much as cells do, and few trainings of other cells can contradict it. `find_power` says how
often a check of a table would find an interchange, so a small figure there is a warning.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from pnas_sim.evaluate import Status
from pnas_sim.space.arrays import Floats
from pnas_tables.record import Table
from pnas_tables.seeds import Deviation, fit_deviation

RUN_ALARM = 0.001  # chance that any run of an honest check elsewhere is beyond its limit (Bonferroni)
SUM_ALARM = 0.01  # chance that the sum of squares of an honest check elsewhere is beyond its own


class Verdict(StrEnum):
    """How what was trained again compares with what is stored."""

    IDENTICAL = "identical"
    WITHIN_NOISE = "within seed noise"
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True)
class Limits:
    """How far an honest check may be off.

    Attributes:
        run: what no score may exceed.
        squares: what the sum of the squares of all scores may not.
    """

    run: float
    squares: float


@dataclass(frozen=True, slots=True)
class Retrained:
    """One run, as stored and as trained again.

    Attributes:
        cell: canonical text.
        seed: of the training.
        stored: validation accuracy in the table.
        found: validation accuracy now; NaN if it failed.
        verdict: how they compare, by the limit of a single run.
        score: their difference in deviations of two seeds' difference: 0 if they are identical, infinite if
            it failed or differs where the table tells no such deviation.
        freedom: degrees of freedom that the deviation was measured with.
    """

    cell: str
    seed: int
    stored: float
    found: float
    verdict: Verdict
    score: float
    freedom: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """How all runs of a check compare.

    Attributes:
        verdict: identical if all runs are; differs if one does, or all of them together.
        count: runs trained again.
        largest: of the scores.
        squares: sum of their squares.
        limits: of both.
    """

    verdict: Verdict
    count: int
    largest: float
    squares: float
    limits: Limits

    def list_lines(self) -> list[str]:
        """The two tests in words, a line each."""
        if self.limits.run == 0:
            return ["no cell of the table has two seeds: only identical runs agree with it"]
        return [
            f"largest difference: {self.largest:.2f} deviations of two seeds' difference; limit "
            f"{self.limits.run:.2f}, which 1 in {1 / RUN_ALARM:,.0f} honest checks of {self.count} exceeds",
            f"sum of squares: {self.squares:.1f} over {self.count} runs; limit {self.limits.squares:.1f}, "
            f"which 1 in {1 / SUM_ALARM:,.0f} honest checks exceeds",
        ]


def find_limits(
    count: int, freedom: int, run_alarm: float = RUN_ALARM, sum_alarm: float = SUM_ALARM
) -> Limits:
    """Limits for a check of `count` runs.

    Args:
        count: runs, at least 1.
        freedom: degrees of freedom that the deviation was measured with. With 0 nothing is known of how far
            honest runs may be off, and both limits are 0.
        run_alarm: share of honest checks of which a run exceeds its limit, at most.
        sum_alarm: share of honest checks of which the sum of squares exceeds its limit.
    """
    from scipy.special import fdtri, stdtrit

    if freedom == 0:
        return Limits(0.0, 0.0)
    run = float(-stdtrit(freedom, 0.5 * run_alarm / count))
    return Limits(run, count * float(fdtri(count, freedom, 1 - sum_alarm)))


def score_differences(stored: Floats, found: Floats, deviation: Deviation) -> Floats:
    """Differences in deviations of two seeds' difference at the mean of both; infinite if unknown.

    Args:
        stored: accuracies, of any shape.
        found: accuracies of the same runs.
        deviation: between seeds.
    """
    spread = math.sqrt(2) * deviation.at((stored + found) / 2)
    known = spread > 0  # that of an accuracy that is not a number is not
    return np.where(known, np.abs(found - stored) / np.where(known, spread, 1.0), math.inf)


def judge_run(score: float, identical: bool, limits: Limits) -> Verdict:
    """The verdict on one run by itself."""
    if identical:
        return Verdict.IDENTICAL
    return Verdict.WITHIN_NOISE if score <= limits.run else Verdict.DIFFERS


def judge_runs(results: Sequence[Retrained]) -> Agreement:
    """The verdict on a table of which these runs (at least 1) were trained again, and what it stands on."""
    limits = find_limits(len(results), results[0].freedom)
    squares = sum(result.score**2 for result in results)
    worst = max((result.verdict for result in results), key=list(Verdict).index)
    verdict = worst if squares <= limits.squares else Verdict.DIFFERS
    return Agreement(verdict, len(results), max(result.score for result in results), squares, limits)


def worst_verdict(results: Sequence[Retrained]) -> Verdict:
    """The verdict of `judge_runs`."""
    return judge_runs(results).verdict


def find_power(table: Table, count: int, checks: int = 10_000) -> float:
    """Share of checks of `count` runs that would find accuracies interchanged among cells of each size.

    It is small where cells of a size differ by little more than seeds do, or where the table says so.

    Args:
        table: the table, taken as true, its deviation between seeds too.
        count: runs of a check; all that did not fail, if there are fewer.
        checks: that are simulated.
    """
    runs = np.flatnonzero(table.status != Status.FAILED)
    sizes = table.space.block_counts(table.cells)[table.run_cells[runs]]
    runs, sizes = runs[np.argsort(sizes, kind="stable")], np.sort(sizes)
    deviation, count = fit_deviation(table, table.valid_accuracy), min(count, len(runs))
    limits = find_limits(count, deviation.freedom)
    rng = np.random.default_rng(0)
    chosen = rng.integers(len(runs), size=(checks, count))
    first, end = (np.searchsorted(sizes, sizes[chosen], side) for side in ("left", "right"))
    others = rng.integers(first, end)
    one, other = (table.valid_accuracy[runs[places]] for places in (chosen, others))
    scores = np.where(one == other, 0.0, score_differences(one, other, deviation))
    found = (scores.max(axis=1) > limits.run) | ((scores**2).sum(axis=1) > limits.squares)
    return float(found.mean())
