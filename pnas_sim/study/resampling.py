"""How sure a figure is: nested bootstrap over worlds and seeds, of whole runs.

Worlds (refits of a surrogate, each with its own landscape) are drawn with replacement, then seeds within each
world drawn: a seed is another one in each world (`pnas_sim.study.finished.Place.run_seed`). Runs of different
searches in one repetition share world and evaluation seed, and are drawn together, so that what both owe to a
lucky world cancels in their comparison.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from pnas_sim.errors import SettingError
from pnas_sim.space.arrays import Floats, Integers
from pnas_sim.study.curves import ROUNDING


@dataclass(frozen=True, slots=True)
class Resamples:
    """Which runs each resample is made of; runs in order of world, then seed.

    Attributes:
        places: `int64[resamples, worlds * seeds]`; empty (0 resamples) where there is but one run.
        confidence: of the intervals, in (0, 1).
    """

    places: Integers
    confidence: float

    def __len__(self) -> int:
        return len(self.places)

    @property
    def weights(self) -> Floats:
        """`float64[resamples, runs]`, of each run in the mean of each resample; rows sum to 1."""
        count, runs = self.places.shape
        flat = (self.places + runs * np.arange(count)[:, None]).ravel()
        return np.asarray(np.bincount(flat, minlength=count * runs).reshape(count, runs) / runs)


def draw_resamples(
    worlds: int, seeds: int, count: int = 1000, confidence: float = 0.95, seed: int = 0
) -> Resamples:
    """Draws worlds, then seeds in each.

    Args:
        worlds: their number, at least 1.
        seeds: of each world, at least 1.
        count: resamples.
        confidence: of the intervals.
        seed: of the draws.

    Raises:
        SettingError: a number is out of its range.
    """
    if count < 1:
        raise SettingError(f"resamples are {count}; there must be at least 1")
    if not 0 < confidence < 1:
        raise SettingError(f"confidence is {confidence:g}; it must be above 0 and below 1, such as 0.95")
    rng = np.random.default_rng(np.random.SeedSequence([seed, worlds, seeds]))
    if worlds * seeds == 1:
        return Resamples(np.zeros((0, 1), np.int64), confidence)
    drawn = rng.integers(0, worlds, (count, worlds, 1))
    within = rng.integers(0, seeds, (count, worlds, seeds))
    return Resamples((drawn * seeds + within).reshape(count, -1), confidence)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and how sure it is.

    Attributes:
        value: the figure itself.
        low: lower end of the interval; NaN where there is none.
        high: upper end; NaN where there is none.
    """

    value: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True, slots=True)
class Censored:
    """A number that may lie beyond what was observed: right-censored at a bound.

    Attributes:
        value: infinite where the runs as they are did not get there.
        low: lower end of the interval, `bound` at most: what is known even if it was never reached; NaN where
            there is neither an interval nor a bound that was passed.
        high: upper end; infinite where it is not bounded from above; NaN where there is no interval.
        reached: share of the resamples that got there; NaN where there are none.
        bound: nothing above it could have been observed; of what was not reached it is known to lie above.
    """

    value: float
    low: float
    high: float
    reached: float
    bound: float


def estimate(value: float, resampled: Floats, confidence: float) -> Estimate:
    """A figure with its percentile interval (`float64[resamples]`)."""
    low, high = find_interval(resampled, confidence)
    return Estimate(value, low, high)


def censor(value: float, resampled: Floats, confidence: float, bound: float) -> Censored:
    """A right-censored figure with its percentile interval; resamples that did not get there are infinite."""
    low, high = find_interval(resampled, confidence)
    if len(resampled) == 0 and math.isinf(value):
        low = bound  # one run alone has no interval, but what it did not reach is known
    low = low if math.isnan(low) else min(low, bound)
    known = resampled[~np.isnan(resampled)]
    reached = float(np.isfinite(known).mean()) if len(known) else math.nan
    return Censored(value, low, high, reached, bound)


def find_interval(resampled: Floats, confidence: float) -> tuple[float, float]:
    """The percentile interval of resampled figures, infinite ones among them; NaN if there are none.

    Its ends are figures that were resampled, never something between a finite and an infinite one.
    """
    known = np.sort(resampled[~np.isnan(resampled)])
    if len(known) == 0:
        return math.nan, math.nan
    low, high = find_ends(len(known), confidence)
    return float(known[low]), float(known[high])


def find_ends(count: int, confidence: float) -> tuple[int, int]:
    """Places of a percentile interval's ends among `count` resampled figures in ascending order."""
    tail = (1 - confidence) / 2
    low = max(math.ceil(round(tail * count, 9)) - 1, 0)
    return low, count - 1 - low


def resample_means(values: Floats, resamples: Resamples) -> Floats:
    """Means of each resample (`float64[resamples]`) of one value a run (`float64[runs]`)."""
    return np.asarray(values[resamples.places].mean(axis=1))


def estimate_mean(values: Floats, resamples: Resamples) -> Estimate:
    """The mean over runs of one value each (`float64[runs]`), with its interval."""
    return estimate(float(values.mean()), resample_means(values, resamples), resamples.confidence)


def find_median(values: Floats) -> Floats:
    """The lower median along the last axis: one of the values, so infinite ones do no harm."""
    middle = (values.shape[-1] - 1) // 2
    return np.asarray(np.sort(values, axis=-1)[..., middle])


def censor_median(values: Floats, lengths: Floats, resamples: Resamples) -> Censored:
    """The median over runs of right-censored values.

    Args:
        values: `float64[runs]`, infinite where not reached.
        lengths: `float64[runs]`, where each run ended: what it did not reach lies above. The lower end of the
            interval counts it as that, the upper end as infinite.
        resamples: of the runs.
    """
    value, least = float(find_median(values)), np.minimum(values, lengths)
    bound = float(find_median(least)) if math.isinf(value) else float(lengths.max())
    if len(resamples) == 0:
        return censor(value, np.zeros(0), resamples.confidence, bound)
    found = censor(value, find_median(values[resamples.places]), resamples.confidence, bound)
    low, _ = find_interval(find_median(least[resamples.places]), resamples.confidence)
    return replace(found, low=min(low, bound))


def resample_crossings(curves: Floats, targets: Floats, resamples: Resamples, chunk: int = 512) -> Floats:
    """For each resample, models until its mean curve first reaches its target, or infinity.

    Args:
        curves: `float64[runs, n]`.
        targets: `float64[resamples]`.
        resamples: of the same runs.
        chunk: columns looked at together: it bounds the memory, and most resamples are there early.
    """
    found = np.full(len(resamples), math.inf)
    waiting, weights = np.arange(len(resamples)), resamples.weights
    places = _find_changes(curves)
    for begin in range(0, len(places), chunk):
        if len(waiting) == 0:
            break
        here = places[begin : begin + chunk]
        part = weights[waiting] @ np.nan_to_num(curves[:, here], nan=-1e9)
        reached = part >= targets[waiting, None] - ROUNDING
        there = reached.any(axis=1)
        found[waiting[there]] = here[reached[there].argmax(axis=1)] + 1.0
        waiting = waiting[~there]
    return found


def resample_lasting_crossings(
    curves: Floats, targets: Floats, resamples: Resamples, chunk: int = 512
) -> Floats:
    """As `resample_crossings`, but models after which the mean curve never falls below its target again.

    The two differ where curves may fall, as noise-free values of cells chosen by noisy ones do.
    """
    found = np.ones(len(resamples))
    waiting, weights = np.arange(len(resamples)), resamples.weights
    places = _find_changes(curves)
    for begin in reversed(range(0, len(places), chunk)):
        here = places[begin : begin + chunk]
        part = weights[waiting] @ np.nan_to_num(curves[:, here], nan=-1e9)
        below = part < targets[waiting, None] - ROUNDING
        there = below.any(axis=1)
        last = begin + len(here) - 1 - below[there, ::-1].argmax(axis=1)
        after = np.append(places + 1.0, math.inf)[last + 1]
        found[waiting[there]] = after
        waiting = waiting[~there]
        if len(waiting) == 0:
            break
    return found


def _find_changes(curves: Floats) -> Integers:
    """Columns in which any row (`float64[runs, n]`) differs from the one before: few, as records are rare."""
    filled = np.nan_to_num(curves, nan=-1e9)
    changed = (filled[:, 1:] != filled[:, :-1]).any(axis=0)
    return np.concatenate([[0], np.flatnonzero(changed) + 1])
