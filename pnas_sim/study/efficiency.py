"""Models-evaluated efficiency: how many more models, and examples, a search needs to be as good as another.

Section 5.3 of the paper: the mean over the top M at the end of PNAS, the models that the other search trains
until its own mean is as high, and the ratio of the two. As in the paper, means over runs are compared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pnas_sim.space.arrays import Floats
from pnas_sim.study.accounts import Account, Reranking, Spent, speed_up_in_examples
from pnas_sim.study.curves import find_crossing, find_crossings, find_lasting_crossing
from pnas_sim.study.grid import Course
from pnas_sim.study.resampling import (
    Censored,
    Estimate,
    Resamples,
    censor,
    censor_median,
    estimate_mean,
    resample_crossings,
    resample_lasting_crossings,
    resample_means,
)


@dataclass(frozen=True, slots=True)
class Efficiency:
    """One search measured against another; a row of the paper's table with what it leaves out.

    Attributes:
        accuracy: mean over the top M at the end of the own search.
        own_models: evaluated by it in all, mean over runs.
        own_first: models after which its mean curve first was as high as in the end.
        needed: models after which the mean curve of the other search first was as high; of runs that had
            ended before, as many as they evaluated.
        needed_for_good: models after which it never was lower again: curves of expected values may fall, and
            then the first time flatters the other search.
        needed_in_runs: median over runs, each against the own run in the same world with the same seed; one
            that did not get there is censored at its own length.
        reached_in_runs: share of those runs that reached it.
        speed_up_models: `needed` over `own_models`.
        speed_up_examples: by who pays for reranking.
        difference: of accuracies at the own number of models; above 0: the own search is better.
        difference_at_end: of accuracies where each search ended.
    """

    accuracy: Estimate
    own_models: float
    own_first: Estimate
    needed: Censored
    needed_for_good: Censored
    needed_in_runs: Censored
    reached_in_runs: float
    speed_up_models: Censored
    speed_up_examples: Mapping[Account, Censored]
    difference: Estimate
    difference_at_end: Estimate


@dataclass(frozen=True, slots=True)
class Costs:
    """What examples are counted by.

    Attributes:
        full: E1, the examples of one model at full fidelity.
        reranking: the second stage.
    """

    full: float
    reranking: Reranking


def measure_efficiency(own: Course, other: Course, resamples: Resamples, costs: Costs) -> Efficiency:
    """Measures a search against another one in the same worlds with the same seeds.

    Args:
        own: the search that is measured, PNAS; by one counting and kind.
        other: the one it is measured against, by the same.
        resamples: of the runs.
        costs: what examples are counted by.
    """
    crossing = _cross(own, other, resamples)
    each = find_crossings(other.values, own.finals)
    return Efficiency(
        accuracy=estimate_mean(own.finals, resamples),
        own_models=float(own.lengths.mean()),
        own_first=_cross_own(own, resamples),
        needed=_count_needed(other, crossing, resamples),
        needed_for_good=_count_needed(other, _cross_for_good(own, other, resamples), resamples),
        needed_in_runs=censor_median(each, other.lengths, resamples),
        reached_in_runs=float(np.isfinite(each).mean()),
        speed_up_models=_speed_up_models(own, other, crossing, resamples),
        speed_up_examples={
            account: _speed_up_examples(own, other, crossing, resamples, costs, account)
            for account in Account
        },
        difference=estimate_mean(own.finals - other.read_at(own.lengths), resamples),
        difference_at_end=estimate_mean(own.finals - other.finals, resamples),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Crossing:
    """Where the other search's mean curve is as good: of the runs as they are, and of each resample.

    Places count from 1, and are infinite where it never is. A run that had ended before a place is in the
    mean there with its last value, and has cost no more than its own length: so models are counted apart.

    Attributes:
        place: of the runs as they are.
        resampled: `float64[resamples]`, places.
        models: evaluated until `place`, mean over runs.
        resampled_models: `float64[resamples]`, likewise.
    """

    place: float
    resampled: Floats
    models: float
    resampled_models: Floats


def _describe_crossing(other: Course, place: float, resampled: Floats, resamples: Resamples) -> _Crossing:
    models = count_models(np.array([place]), other.lengths, _weigh_equally(other))
    counted = count_models(resampled, other.lengths, resamples.weights)
    return _Crossing(place, resampled, float(models[0]), counted)


def _cross(own: Course, other: Course, resamples: Resamples) -> _Crossing:
    target = float(own.finals.mean())
    targets = resample_means(own.finals, resamples)
    resampled = resample_crossings(other.values, targets, resamples)
    return _describe_crossing(other, find_crossing(other.values.mean(axis=0), target), resampled, resamples)


def _cross_for_good(own: Course, other: Course, resamples: Resamples) -> _Crossing:
    place = find_lasting_crossing(other.values.mean(axis=0), float(own.finals.mean()))
    targets = resample_means(own.finals, resamples)
    resampled = resample_lasting_crossings(other.values, targets, resamples)
    return _describe_crossing(other, place, resampled, resamples)


def count_models(places: Floats, lengths: Floats, weights: Floats) -> Floats:
    """Models evaluated until so many columns of a mean curve, mean over runs, `float64[n]`.

    Args:
        places: `float64[n]`, columns; infinite ones stay so.
        lengths: `float64[runs]`, models of each run.
        weights: `float64[n, runs]`, of each run in each mean; rows sum to 1.
    """
    reached = np.where(np.isfinite(places), places, 0.0)
    missing = np.maximum(reached[:, None] - lengths, 0.0)  # what shorter runs have not evaluated
    return np.where(np.isfinite(places), reached - (weights * missing).sum(axis=1), math.inf)


def _weigh_equally(course: Course) -> Floats:
    """`float64[1, runs]`: the mean over the runs as they are."""
    return np.full((1, len(course.lengths)), 1 / len(course.lengths))


def _count_needed(other: Course, crossing: _Crossing, resamples: Resamples) -> Censored:
    bound = float(other.lengths.mean())
    return censor(crossing.models, crossing.resampled_models, resamples.confidence, bound)


def _cross_own(own: Course, resamples: Resamples) -> Estimate:
    found = _count_needed(own, _cross(own, own, resamples), resamples)
    return Estimate(found.value, found.low, found.high)


def _speed_up_models(own: Course, other: Course, crossing: _Crossing, resamples: Resamples) -> Censored:
    models = float(own.lengths.mean())
    resampled = crossing.resampled_models / resample_means(own.lengths, resamples)
    bound = float(other.lengths.mean()) / models
    return censor(crossing.models / models, resampled, resamples.confidence, bound)


def _speed_up_examples(
    own: Course, other: Course, crossing: _Crossing, resamples: Resamples, costs: Costs, account: Account
) -> Censored:
    """As `_speed_up_models`, in M1 E1 + M2 E2; what was spent is the mean over runs, too."""
    plain, whole = _weigh_equally(own), np.array([other.lengths.max()])
    value = _compare_examples(own, other, np.array([crossing.place]), plain, costs, account)
    bound = _compare_examples(own, other, whole, plain, costs, account)
    resampled = np.zeros(0)
    if len(resamples):
        resampled = _compare_examples(own, other, crossing.resampled, resamples.weights, costs, account)
    return censor(float(value[0]), resampled, resamples.confidence, float(bound[0]))


def _compare_examples(
    own: Course, other: Course, places: Floats, weights: Floats, costs: Costs, account: Account
) -> Floats:
    """Speed-up in examples (`float64[n]`) by where it is reached (`float64[n]`) and weights (`[n, runs]`)."""
    reached = np.isfinite(places)
    columns = np.where(reached, places, 1).astype(np.int64) - 1
    trained = (weights * other.examples[:, columns].T).sum(axis=1)
    models = count_models(places, other.lengths, weights)
    needed = Spent(models, np.where(reached, trained, math.inf), other.reranks)
    spent = Spent(weights @ own.lengths, weights @ own.examples[:, -1], own.reranks)
    return speed_up_in_examples(spent, needed, costs.full, account, costs.reranking)
