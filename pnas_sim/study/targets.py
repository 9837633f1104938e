"""Models to fixed targets, and regret: what a search reached, measured by its world instead of by PNAS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pnas_sim.study.curves import Counting, Kind, find_crossings
from pnas_sim.study.grid import Course, RunGrid
from pnas_sim.study.landmarks import TARGETS, Landmarks
from pnas_sim.study.resampling import Censored, Estimate, Resamples, censor_median, estimate_mean


@dataclass(frozen=True, slots=True)
class TargetReach:
    """Models until the best cell of all visited is as good as a share of random cells.

    Attributes:
        search: its label.
        target: "top 1%" or "top 0.1%" of random cells of the largest size, in the run's own world.
        kind: of both the cell and the target.
        threshold: the target's accuracy, mean over runs.
        models: median over runs.
        reached: share of runs that got there.
    """

    search: str
    target: str
    kind: Kind
    threshold: float
    models: Censored
    reached: float


@dataclass(frozen=True, slots=True)
class Regret:
    """What a search's best cell of all visited lacks of the best noise-free value known in its world.

    The best known is the highest that any search of the comparison or the long local search visited; better
    cells may exist.

    Attributes:
        search: its label.
        kind: of the cell's value: "expected" is the regret, "observed" what it looks like (or below 0).
        at: "equal" (after the first reference's number of models) or "end".
        regret: mean over runs.
    """

    search: str
    kind: Kind
    at: str
    regret: Estimate


def reach_targets(
    grid: RunGrid, landmarks: Sequence[Landmarks], kinds: Sequence[Kind], resamples: Resamples
) -> list[TargetReach]:
    """Every search, target and kind.

    Args:
        grid: all runs.
        landmarks: of each run's world.
        kinds: that are known.
        resamples: of the runs.
    """
    rows = []
    for label in grid.labels:
        for kind in kinds:
            course = follow_best(grid, label, kind)
            for target in list_targets(landmarks):
                thresholds = np.array([_read(one, kind, target) for one in landmarks])
                models = find_crossings(course.values, thresholds)
                reached = float(np.isfinite(models).mean())
                found = censor_median(models, course.lengths, resamples)
                rows.append(TargetReach(label, target, kind, float(thresholds.mean()), found, reached))
    return rows


def list_targets(landmarks: Sequence[Landmarks]) -> list[str]:
    """Those that every world has: a sample too small for one leaves it out."""
    return [name for name in TARGETS if all(name in one.expected for one in landmarks)]


def follow_best(grid: RunGrid, label: str, kind: Kind) -> Course:
    """The best cell of all visited."""
    return grid.join(label, grid.follow(label, 1, Counting.SYMMETRICAL), kind)


def _read(landmarks: Landmarks, kind: Kind, target: str) -> float:
    known = landmarks.expected if kind is Kind.EXPECTED else landmarks.observed
    return float(known[target])


@dataclass(frozen=True, slots=True)
class BestKnown:
    """The best noise-free value that anything found in a world.

    Attributes:
        world: its number.
        value: an accuracy.
        found_by: label of the search that found it first in the order of searches and seeds; empty: it is
            one of the landmarks, which say themselves how they were found.
        seed: of that search's run.
        model: which of its run's models, from 0.
    """

    world: int
    value: float
    found_by: str
    seed: int = 0
    model: int = 0


def find_best_known(grid: RunGrid, landmarks: Sequence[Landmarks]) -> list[BestKnown]:
    """The best of each world.

    Args:
        grid: all runs.
        landmarks: of some worlds; each world's once or more.
    """
    best = {one.world: BestKnown(one.world, one.local_best, "") for one in landmarks}
    for label, runs in grid.runs.items():
        for run in runs:
            values = np.where(np.isnan(run.expected), run.values, run.expected)
            if np.isnan(values).all() or run.facts.world not in best:
                continue
            model = int(np.nanargmax(values))
            if values[model] > best[run.facts.world].value:
                found = BestKnown(run.facts.world, float(values[model]), label, run.facts.seed, model)
                best[run.facts.world] = found
    return list(best.values())


def measure_regrets(
    grid: RunGrid,
    landmarks: Sequence[Landmarks],
    kinds: Sequence[Kind],
    resamples: Resamples,
    reference: str,
) -> list[Regret]:
    """Every search, kind and time.

    Args:
        grid: all runs.
        landmarks: of each run's world.
        kinds: that are known.
        resamples: of the runs.
        reference: label of the search whose number of models is "equal".
    """
    known = {one.world: one.value for one in find_best_known(grid, landmarks)}
    best = np.array([known[one.world] for one in landmarks])
    equal = np.array([len(run) for run in grid.runs[reference]], np.float64)
    rows = []
    for label in grid.labels:
        for kind in kinds:
            course = follow_best(grid, label, kind)
            for at, values in (("equal", course.read_at(equal)), ("end", course.finals)):
                rows.append(Regret(label, kind, at, estimate_mean(best - values, resamples)))
    return rows
