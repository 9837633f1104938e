from __future__ import annotations

import bisect
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pnas_sim.study.log_efficiency import score_log_efficiency

Floats = NDArray[np.float64]


def rise(seed: int, runs: int, trials: int, levels: int) -> Floats:
    values = np.random.default_rng(seed).integers(0, levels, (runs, trials)) / levels
    return np.maximum.accumulate(values, axis=1)


def vizier_index(heights: Floats, curve: Floats) -> list[float]:
    places = [bisect.bisect_left(curve.tolist(), height) for height in heights.tolist()]
    return [place if place < len(curve) else math.inf for place in places]


def vizier_curve(heights: Floats, curve: Floats, most: float) -> Floats:
    with np.errstate(divide="ignore"):
        difference = np.log(1 + np.array(vizier_index(heights, heights))) - np.log(
            1 + np.array(vizier_index(heights, curve))
        )
    return np.clip(difference, -most, most)


def vizier_interpolate(row: Floats) -> Floats:
    _, places = np.unique(row, return_index=True)
    kept = sorted({*places.tolist(), len(row) - 1})
    return np.interp(np.arange(len(row)), kept, row[kept])


def vizier_extend(row: Floats, steps: int) -> Floats:
    later = row[int(len(row) / 2) :]
    slope = np.mean([later[i] - later[i - 1] for i in range(1, len(later))])
    return np.append(row, [row[-1] + slope * (1 + step) for step in range(steps)])


def vizier_score(baseline: Floats, compared: Floats, most: float = 1.0) -> float:
    """Step by step as Vizier's comparator has it, for curves over the same trials."""
    base = np.stack([vizier_interpolate(row) for row in baseline])
    comp = np.stack([vizier_interpolate(row) for row in compared])
    combined = np.nanmedian(np.vstack([base, comp]), axis=0)
    steps = int(np.exp(most) * baseline.shape[1])
    sides = [
        vizier_curve(combined, np.nanquantile([vizier_extend(row, steps) for row in side], 0.5, axis=0), most)
        for side in (comp, base)
    ]
    return float(np.median(sides[0] - sides[1]))


@settings(deadline=None, max_examples=60)
@given(
    seeds=st.tuples(st.integers(0, 999), st.integers(0, 999)),
    runs=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    trials=st.integers(3, 25),
    levels=st.sampled_from([3, 10, 1000]),
)
def test_score_is_viziers(seeds: tuple[int, int], runs: tuple[int, int], trials: int, levels: int) -> None:
    baseline, compared = (rise(s, r, trials, levels) for s, r in zip(seeds, runs, strict=True))
    assert score_log_efficiency(baseline, compared) == pytest.approx(vizier_score(baseline, compared))


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 999), runs=st.integers(1, 4), trials=st.integers(2, 30))
def test_score_is_zero_against_itself_and_changes_sign(seed: int, runs: int, trials: int) -> None:
    one, other = rise(seed, runs, trials, 50), rise(seed + 1, runs, trials, 50)
    assert score_log_efficiency(one, one) == 0
    assert score_log_efficiency(one, other) == -score_log_efficiency(other, one)


def test_half_the_trials_score_log_two() -> None:
    trials = np.arange(1, 201, dtype=np.float64)
    slow, fast = np.log(trials)[None], np.log(2 * trials)[None]
    assert score_log_efficiency(slow, fast) == pytest.approx(math.log(2), abs=0.05)


@pytest.mark.parametrize("begin", [0, 24, 136, 300])
def test_trials_before_there_are_values_count_as_trials(begin: int) -> None:
    """Where the top 25 begin at the 25th model says nothing on how fast a search is."""
    trials = np.arange(1, 1161, dtype=np.float64)
    slow, fast = np.log(trials)[None, begin:], np.log(2 * trials)[None, begin:]
    assert score_log_efficiency(slow, fast, begin) == pytest.approx(math.log(2), abs=0.01)


def test_never_as_high_is_clipped_to_what_it_can_be_at_most() -> None:
    rising, flat = np.linspace(0, 1, 50)[None], np.zeros((1, 50))
    assert -2 <= score_log_efficiency(rising, flat) < -1
