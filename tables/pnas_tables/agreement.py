"""Whether runs that were trained again agree with the stored ones: each by itself, and all of them together.

On the machine and versions of the table all figures are equal to the last bit. Elsewhere sums are rounded in
another order, which acts as another seed does: stored and found accuracy differ as two seeds do. Compared is
every figure that the table knows: the validation accuracy, the test accuracy, and the validation accuracy at
each earlier checkpoint. How far seeds lie apart depends on the accuracy, so a *score* is the difference in
units of the deviation that the figure has there between seeds (`pnas_tables.seeds.Deviation`), times the root
of 2 for two trainings.

Of an honest check elsewhere, scores are normal deviates, over a deviation that was itself measured, with so
many degrees of freedom: one score follows Student's law, the mean of n squares Fisher's (which is the law of
chi-square over n, once the deviation is well known). Two limits are set by these laws. The one of a single
run finds a made-up row; the one of the sum of squares finds rows that are each not far off, as those of which
the accuracies were interchanged. An honest check goes beyond one of the first in 1 of 1,000, beyond one of
the second in 1 of 100, where seeds' noise is normal: each figure has its even share of these chances.

Hardly found is a table of which single runs were interchanged, those of repeated cells too: it says that
seeds differ as much as cells do, and few trainings of other cells can contradict it. `find_power` says how
often a check of a table would find an interchange, so a small figure there is a warning.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from pnas_sim.evaluate import Status
from pnas_sim.space.arrays import Floats
from pnas_tables.record import Table
from pnas_tables.seeds import Deviation, fit_deviation

RUN_ALARM = 0.001  # chance that any score of an honest check elsewhere is beyond its limit (Bonferroni)
SUM_ALARM = 0.01  # chance that any figure's sum of squares in an honest check elsewhere is beyond its own
VALID, TEST = "validation accuracy", "test accuracy"


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
class Difference:
    """One figure of a run that the table knows, as stored and as found.

    Attributes:
        figure: its name, as in `list_figures`.
        stored: in the table.
        found: now; NaN if it is not there.
        score: their difference in deviations of two seeds' difference: 0 if they are equal, infinite if it is
            not there, or where the table tells no such deviation.
        freedom: degrees of freedom that the deviation was measured with.
    """

    figure: str
    stored: float
    found: float
    score: float
    freedom: int


@dataclass(frozen=True, slots=True)
class Retrained:
    """One run, as stored and as trained again.

    Attributes:
        cell: canonical text.
        seed: of the training.
        verdict: how they compare, by the limits of a single run.
        differences: of each figure, the validation accuracy first.
        status: what became of it: of one word, or of two, as stored and as found.
    """

    cell: str
    seed: int
    verdict: Verdict
    differences: tuple[Difference, ...]
    status: str = "ok"

    @property
    def stored(self) -> float:
        """Validation accuracy in the table."""
        return self.differences[0].stored

    @property
    def found(self) -> float:
        """Validation accuracy now; NaN if it failed."""
        return self.differences[0].found

    @property
    def score(self) -> float:
        """The largest of its figures' scores."""
        return max(one.score for one in self.differences)

    def line(self) -> str:
        """One line for a person, on the validation accuracy and on the figure that is further off."""
        first = self.differences[0]
        worst = max(self.differences, key=lambda one: one.score)  # of equals the first
        told = (first,) if worst is first else (first, worst)
        parts = [f"{one.figure} {one.stored:.4f}, now {one.found:.4f}" for one in told]
        parts += [f"status {self.status}"] if " " in self.status else []
        return f"{self.cell} seed {self.seed}: {'; '.join(parts)}: {self.verdict}"


@dataclass(frozen=True, slots=True)
class FigureTest:
    """How one figure compares over all runs of a check.

    Attributes:
        figure: its name.
        count: runs of which the table knows it.
        largest: of their scores.
        squares: sum of the squares of their scores.
        limits: of both.
    """

    figure: str
    count: int
    largest: float
    squares: float
    limits: Limits

    def line(self) -> str:
        """The two tests in words."""
        if self.limits.run == 0:
            return f"{self.figure}: no cell of the table has two seeds: only identical runs agree with it"
        return (
            f"{self.figure}: largest difference {self.largest:.2f} deviations of two seeds' difference "
            f"(limit {self.limits.run:.2f}), sum of squares {self.squares:.1f} over {self.count} runs "
            f"(limit {self.limits.squares:.1f})"
        )


@dataclass(frozen=True, slots=True)
class Agreement:
    """How all runs of a check compare.

    Attributes:
        verdict: identical if all runs are; differs if one does, or a figure of all of them together.
        count: runs trained again.
        tests: one for each figure.
    """

    verdict: Verdict
    count: int
    tests: tuple[FigureTest, ...]

    def list_lines(self) -> list[str]:
        """A line for each figure, and what the limits mean."""
        rates = f"1 in {1 / RUN_ALARM:,.0f} honest checks of {self.count} runs has a difference beyond its"
        meaning = f"limits: {rates} limit, 1 in {1 / SUM_ALARM:,.0f} a sum of squares"
        return [*(test.line() for test in self.tests), meaning]


def name_checkpoint(epochs: float) -> str:
    """The figure's name of a checkpoint after so many epochs."""
    return f"{VALID} at epoch {epochs!r}"


def list_figures(table: Table) -> dict[str, Floats]:
    """What can be compared, by name: `float64[m]` each, with at least one value known.

    The last checkpoint's is the validation accuracy; it stands by itself only where the table contradicts it.
    """
    names = [name_checkpoint(epochs) for epochs in table.epochs.tolist()]
    *early, last = zip(names, table.curves.T, strict=True)
    figures = dict([(VALID, table.valid_accuracy), (TEST, table.test_accuracy), *early])
    if np.any(~np.isnan(last[1]) & (last[1] != table.valid_accuracy)):
        figures[last[0]] = last[1]
    return {name: values for name, values in figures.items() if not np.isnan(values).all()}


def share_limits(count: int, freedom: int, figures: int) -> Limits:
    """Limits for `count` runs of one of so many figures that are compared."""
    return find_limits(count, freedom, RUN_ALARM / figures, SUM_ALARM / figures)


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


def judge_run(differences: Sequence[Difference], limits: Mapping[str, Limits], same_status: bool) -> Verdict:
    """The verdict on one run by itself.

    Args:
        differences: of its figures.
        limits: of each figure, by its name.
        same_status: whether it came to the same end. An end that is another where all figures are equal was
            made up: it follows from them.
    """
    if any(one.score > limits[one.figure].run for one in differences):
        return Verdict.DIFFERS
    if any(one.stored != one.found for one in differences):
        return Verdict.WITHIN_NOISE
    return Verdict.IDENTICAL if same_status else Verdict.DIFFERS


def judge_runs(results: Sequence[Retrained]) -> Agreement:
    """The verdict on a table of which these runs (at least 1) were trained again, and what it stands on."""
    by_figure: dict[str, list[Difference]] = {}
    for result in results:
        for one in result.differences:
            by_figure.setdefault(one.figure, []).append(one)
    tests = tuple(_test_figure(several, len(by_figure)) for several in by_figure.values())
    worst = max((result.verdict for result in results), key=list(Verdict).index)
    within = all(test.squares <= test.limits.squares for test in tests)
    return Agreement(worst if within else Verdict.DIFFERS, len(results), tests)


def _test_figure(differences: Sequence[Difference], figures: int) -> FigureTest:
    scores = [one.score for one in differences]
    limits = share_limits(len(scores), differences[0].freedom, figures)
    return FigureTest(
        differences[0].figure, len(scores), max(scores), sum(score**2 for score in scores), limits
    )


def worst_verdict(results: Sequence[Retrained]) -> Verdict:
    """The verdict of `judge_runs`."""
    return judge_runs(results).verdict


def find_power(table: Table, count: int, checks: int = 10_000) -> float:
    """Share of checks of `count` runs that would find accuracies interchanged among cells of each size.

    Validation accuracies, that is; other figures beside them are found more often. It is small where cells of
    a size differ by little more than seeds do, or where the table says so.

    Args:
        table: the table, taken as true, its deviation between seeds too.
        count: runs of a check; all that did not fail, if there are fewer.
        checks: that are simulated.
    """
    runs = np.flatnonzero(table.status != Status.FAILED)
    sizes = table.space.block_counts(table.cells)[table.run_cells[runs]]
    runs, sizes = runs[np.argsort(sizes, kind="stable")], np.sort(sizes)
    deviation, count = fit_deviation(table, table.valid_accuracy), min(count, len(runs))
    limits = share_limits(count, deviation.freedom, len(list_figures(table)))
    rng = np.random.default_rng(0)
    chosen = rng.integers(len(runs), size=(checks, count))
    first, end = (np.searchsorted(sizes, sizes[chosen], side) for side in ("left", "right"))
    others = rng.integers(first, end)
    one, other = (table.valid_accuracy[runs[places]] for places in (chosen, others))
    scores = np.where(one == other, 0.0, score_differences(one, other, deviation))
    found = (scores.max(axis=1) > limits.run) | ((scores**2).sum(axis=1) > limits.squares)
    return float(found.mean())
