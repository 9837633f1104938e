"""Log-efficiency of whole curves, as Vizier's convergence analyzers define it.

The score answers: over the heights that both curves pass through, how many trials does one need against the
other, in natural logarithms? About `exp(-score)` times as many. It is the median over heights of
`log(1 + trials of the other) - log(1 + trials of the own)`, each against the median curve of both, clipped to
[-1, 1]; repeated values are interpolated between improvements, and curves are extended by the mean slope of
their later half. `LogEfficiencyConvergenceCurveComparator` in `vizier/_src/benchmarks/analyzers/
convergence_curve.py` of google/vizier. It needs curves that never fall, over the same number of trials: the
caller cuts them to it and gives running maxima.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pnas_sim.space.arrays import Floats

MAX_SCORE = 1.0


def score_log_efficiency(
    baseline: Floats, compared: Floats, begin: int = 0, max_score: float = MAX_SCORE
) -> float:
    """The score; above 0: `compared` needs fewer trials than `baseline`.

    Args:
        baseline: `float64[runs, n]`, rising.
        compared: `float64[other runs, n]`, rising, over the same trials.
        begin: trials before the first of these, of which there is no value: they count as trials.
        max_score: to which each height's score is clipped.
    """
    own, other = _interpolate_repeats(compared), _interpolate_repeats(baseline)
    heights = np.median(np.concatenate([other, own]), axis=0)
    steps = int(math.exp(max_score) * (begin + baseline.shape[1]))
    found = [
        _compare_heights(heights, np.median(_extend(curves, steps), axis=0), begin, max_score)
        for curves in (own, other)
    ]
    return float(np.median(found[0] - found[1]))


def _compare_heights(heights: Floats, curve: Floats, begin: int, max_score: float) -> Floats:
    """Log of the trials that rising heights take themselves, less that of a curve to get as high."""
    count, itself = len(curve), np.searchsorted(heights, heights, side="left")
    needed = np.searchsorted(curve, heights, side="left")
    logs = np.where(needed < count, np.log1p(begin + needed), math.inf)
    return np.asarray(np.clip(np.log1p(begin + itself) - logs, -max_score, max_score))


def _interpolate_repeats(curves: Floats) -> Floats:
    """Each row with straight lines between its improvements; after the last one it stays flat."""
    trials = np.arange(curves.shape[1])
    return np.stack([_interpolate_row(row, trials) for row in curves])


def _interpolate_row(row: Floats, trials: NDArray[np.int64]) -> Floats:
    better = np.flatnonzero(np.diff(row, prepend=-math.inf) > 0)
    kept = np.union1d(better, [len(row) - 1])
    return np.asarray(np.interp(trials, kept, row[kept]))


def _extend(curves: Floats, steps: int) -> Floats:
    """Each row continued by so many steps of the mean slope of its later half."""
    later = curves[:, curves.shape[1] // 2 :]
    span = max(later.shape[1] - 1, 1)
    slope = (later[:, -1] - later[:, 0]) / span
    return np.hstack([curves, curves[:, -1:] + slope[:, None] * np.arange(1, steps + 1)])
