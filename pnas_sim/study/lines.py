"""Curves to draw and to keep: mean over runs and its band, against models, proposals and simulated cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from pnas_sim.space.arrays import Floats
from pnas_sim.study.curves import View
from pnas_sim.study.finished import FinishedRun
from pnas_sim.study.grid import Course
from pnas_sim.study.resampling import Resamples, find_ends

MOST_POINTS = 120  # of a line against models, more than a picture can show; half as many on other axes


class Axis(StrEnum):
    """What a curve is drawn against."""

    MODELS = "models"  # evaluated
    PROPOSALS = "proposals"  # repeats among them, which cost nothing
    SECONDS = "seconds"  # of children: the simulated cost


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A curve of one search.

    Attributes:
        search: its label.
        view: the way of counting.
        axis: of `at`.
        at: `float64[p]`, rising.
        mean: `float64[p]`, over runs; a run that has ended stays where it ended.
        low: `float64[p]`, lower end of the mean's interval; NaN where there is none.
        high: `float64[p]`, upper end.
    """

    search: str
    view: View
    axis: Axis
    at: Floats
    mean: Floats
    low: Floats
    high: Floats


def draw_lines(
    label: str, view: View, course: Course, runs: Sequence[FinishedRun], resamples: Resamples
) -> Iterator[Line]:
    """The curve of a search against each axis.

    Args:
        label: of the search.
        view: the way of counting.
        course: by this view.
        runs: of the search, as in the course.
        resamples: of the runs.
    """
    for axis in Axis:
        positions = [_find_positions(run, axis) for run in runs]
        end = max(float(position[-1]) for position in positions)
        most = MOST_POINTS if axis is Axis.MODELS else MOST_POINTS // 2
        at = choose_points(end, axis is not Axis.SECONDS, most)
        values = read_steps(course.values, positions, at)
        known = ~np.isnan(values).any(axis=0)
        at, values = at[known], values[:, known]
        low, high = _find_band(values, resamples)
        yield Line(label, view, axis, at, values.mean(axis=0), low, high)


def _find_positions(run: FinishedRun, axis: Axis) -> Floats:
    if axis is Axis.MODELS:
        return np.arange(1, len(run) + 1, dtype=np.float64)
    return run.proposals.astype(np.float64) if axis is Axis.PROPOSALS else np.cumsum(run.seconds)


def choose_points(end: float, whole: bool, most: int) -> Floats:
    """Points up to an end, close together at the beginning, where curves change most.

    Args:
        end: the last point.
        whole: whether points are whole numbers.
        most: points at most; at least 4.
    """
    if end <= 0:
        return np.array([end])
    low = 1.0 if whole else end / 1000
    points = np.concatenate([np.geomspace(low, end, most // 2), np.linspace(low, end, most - most // 2)])
    return np.unique(np.round(points) if whole else points)


def read_steps(values: Floats, positions: Sequence[Floats], at: Floats) -> Floats:
    """Each run's value at points of its axis, `float64[runs, p]`; NaN before its first.

    Args:
        values: `float64[runs, n]`, a run's after each model.
        positions: of each run, `float64[models]`, where on the axis it stood after each model; never falling.
        at: `float64[p]`.
    """
    rows = []
    for row, position in zip(values, positions, strict=True):
        place = np.searchsorted(position, at, side="right") - 1
        rows.append(np.where(place >= 0, row[np.maximum(place, 0)], np.nan))
    return np.stack(rows)


def _find_band(values: Floats, resamples: Resamples) -> tuple[Floats, Floats]:
    """The percentile interval of the mean at each point."""
    if len(resamples) == 0 or values.shape[1] == 0:
        return np.full(values.shape[1], np.nan), np.full(values.shape[1], np.nan)
    low, high = find_ends(len(resamples), resamples.confidence)
    means = np.partition(resamples.weights @ values, (low, high), axis=0)
    return means[low], means[high]
