"""Everything that a comparison says, from its runs: one list of rows for each question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pnas_sim.space.arrays import Floats
from pnas_sim.study.curves import Counting, Kind, TopCurve, View
from pnas_sim.study.efficiency import Costs, Efficiency, measure_efficiency
from pnas_sim.study.grid import Course, RunGrid, demand_tops
from pnas_sim.study.landmarks import Landmarks
from pnas_sim.study.lines import Line, draw_lines
from pnas_sim.study.log_efficiency import score_log_efficiency
from pnas_sim.study.rank_tests import RankTest, average_worlds, rank_pairs
from pnas_sim.study.resampling import Estimate, Resamples, draw_resamples, estimate_mean
from pnas_sim.study.targets import Regret, TargetReach, measure_regrets, reach_targets


@dataclass(frozen=True, slots=True)
class Final:
    """A search at its end, and after as many models as the first reference evaluated.

    Attributes:
        search: its label.
        view: the way of counting.
        end: mean over runs.
        equal: the same after the reference's number of models.
        in_runs: each run's own end, in order of world, then seed.
    """

    search: str
    view: View
    end: Estimate
    equal: Estimate
    in_runs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Duel:
    """A reference measured against another search; labels, the way of counting, and the figures."""

    reference: str
    search: str
    view: View
    efficiency: Efficiency


@dataclass(frozen=True, slots=True)
class LogScore:
    """Vizier's log-efficiency of a reference against another search; above 0: the reference is better.

    Attributes:
        reference: label of the one.
        search: label of the other, the baseline.
        view: the way of counting (symmetrical always); expected curves as running maxima.
        models: over which both are compared.
        score: about `log(models of the other / models of the reference)`, in [-2, 2].
    """

    reference: str
    search: str
    view: View
    models: int
    score: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """A paired test of two searches.

    Attributes:
        view: the way of counting.
        at: "equal" (after the first reference's number of models) or "end".
        unit: what is paired: "run" or "world" (means over seeds).
        test: its outcome; Holm's correction is over all pairs of searches of this view, time and unit.
    """

    view: View
    at: str
    unit: str
    test: RankTest


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """All rows.

    Attributes:
        references: labels of searches that others are measured against; the first says what "equal" means.
        kinds: observed, and expected where it is known.
        confidence: of every interval.
        resamples: that intervals come from; 0: there was one run only, and there are none.
        finals: accuracies reached.
        duels: the paper's table.
        scores: log-efficiency.
        reaches: models to fixed targets.
        regrets: from the best value known.
        rankings: paired tests.
        lines: curves to draw.
    """

    references: tuple[str, ...]
    kinds: tuple[Kind, ...]
    confidence: float
    resamples: int
    finals: list[Final] = field(default_factory=list)
    duels: list[Duel] = field(default_factory=list)
    scores: list[LogScore] = field(default_factory=list)
    reaches: list[TargetReach] = field(default_factory=list)
    regrets: list[Regret] = field(default_factory=list)
    rankings: list[Ranking] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What is to be measured.

    Attributes:
        references: labels of the searches, all in the grid, that others are measured against.
        tops: M, of the means.
        costs: what examples are counted by.
        confidence: of intervals.
        resamples: of the bootstrap.
    """

    references: Sequence[str]
    tops: Sequence[int]
    costs: Costs
    confidence: float = 0.95
    resamples: int = 1000


def analyse(grid: RunGrid, landmarks: Mapping[int, Landmarks], wishes: Wishes) -> Analysis:
    """Measures everything.

    Args:
        grid: all runs.
        landmarks: by world; worlds without them have no targets and regrets.
        wishes: what is to be measured.

    Raises:
        SettingError: a run has fewer cells than the top M.
    """
    demand_tops(grid, wishes.tops)
    resamples = draw_resamples(len(grid.worlds), len(grid.seeds), wishes.resamples, wishes.confidence)
    kinds = tuple(Kind) if grid.knows_expected() else (Kind.OBSERVED,)
    analysis = Analysis(
        references=tuple(wishes.references),
        kinds=kinds,
        confidence=wishes.confidence,
        resamples=len(resamples),
    )
    for top in wishes.tops:
        for counting in Counting:
            curves = {label: grid.follow(label, top, counting) for label in grid.labels}
            for kind in kinds:
                _add(analysis, grid, curves, View(top, counting, kind), resamples, wishes)
    if all(world in landmarks for world in grid.worlds):
        known = [landmarks[world] for world in grid.worlds for _ in grid.seeds]
        analysis.reaches.extend(reach_targets(grid, known, kinds, resamples))
        analysis.regrets.extend(measure_regrets(grid, known, kinds, resamples, wishes.references[0]))
    return analysis


def _add(
    analysis: Analysis,
    grid: RunGrid,
    curves: Mapping[str, list[TopCurve]],
    view: View,
    resamples: Resamples,
    wishes: Wishes,
) -> None:
    """Adds the rows of one way of counting."""
    courses = {label: grid.join(label, curves[label], view.kind) for label in grid.labels}
    equal = courses[wishes.references[0]].lengths
    analysis.finals.extend(
        _describe_final(label, view, courses[label], equal, resamples) for label in courses
    )
    for reference in wishes.references:
        for label in grid.labels:
            if label != reference:
                found = measure_efficiency(courses[reference], courses[label], resamples, wishes.costs)
                analysis.duels.append(Duel(reference, label, view, found))
                if view.counting is Counting.SYMMETRICAL:
                    score = _score(courses[reference], courses[label])
                    analysis.scores.append(LogScore(reference, label, view, *score))
    analysis.rankings.extend(_rank(courses, equal, view, len(grid.seeds)))
    for label, course in courses.items():
        analysis.lines.extend(draw_lines(label, view, course, grid.runs[label], resamples))


def _describe_final(label: str, view: View, course: Course, equal: Floats, resamples: Resamples) -> Final:
    return Final(
        label,
        view,
        estimate_mean(course.finals, resamples),
        estimate_mean(course.read_at(equal), resamples),
        tuple(course.finals.tolist()),
    )


def _score(own: Course, other: Course) -> tuple[int, float]:
    """Models compared over, and the score; before the top M are there, nothing is compared."""
    models = int(min(own.lengths.min(), other.lengths.min()))
    known = [course.values[:, :models] for course in (own, other)]
    begin = max(int(np.isnan(values).sum(axis=1).max()) for values in known)
    if models - begin < 2:
        return models, float("nan")
    rising = [np.maximum.accumulate(values[:, begin:], axis=1) for values in known]
    return models, score_log_efficiency(baseline=rising[1], compared=rising[0], begin=begin)


def _rank(courses: Mapping[str, Course], equal: Floats, view: View, seeds: int) -> Iterator[Ranking]:
    if len(equal) < 2:
        return
    times = {
        "equal": {label: course.read_at(equal) for label, course in courses.items()},
        "end": {label: course.finals for label, course in courses.items()},
    }
    for at, values in times.items():
        yield from (Ranking(view, at, "run", test) for test in rank_pairs(values))
        if seeds > 1 and len(equal) > seeds:
            means = {label: average_worlds(value, seeds) for label, value in values.items()}
            yield from (Ranking(view, at, "world", test) for test in rank_pairs(means))
