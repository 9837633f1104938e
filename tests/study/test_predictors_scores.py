from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr

from pnas_sim.study.predictors_scores import (
    MEASURES,
    average_resamples,
    bound,
    count_top,
    draw_cells,
    estimate_trials,
    find_ceilings,
    score_kendall,
    score_pooled,
    score_precision,
    score_spearman,
    score_trials,
)


def draw_pair(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=count).round(1)  # with ties
    return truth + rng.normal(size=count), truth


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.integers(5, 300))
def test_values_are_those_of_scipy_and_the_mean_of_their_parts(seed: int, count: int) -> None:
    predicted, truth = draw_pair(seed, count)
    if np.ptp(truth) == 0:
        return
    for measure in MEASURES.values():
        score = measure(predicted, truth)
        assert abs(score.parts.mean() - score.value) < 1e-9
        assert -1 - 1e-9 <= score.value <= 1 + 1e-9
    assert abs(score_spearman(predicted, truth).value - spearmanr(predicted, truth).statistic) < 1e-9
    assert abs(score_kendall(predicted, truth).value - kendalltau(predicted, truth).statistic) < 1e-9


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES.keys())
def test_any_rising_change_of_predictions_keeps_every_figure(measure) -> None:
    predicted, truth = draw_pair(0, 100)
    assert measure(np.exp(predicted), truth).value == pytest.approx(measure(predicted, truth).value)
    assert measure(truth + 0.0, truth).value == pytest.approx(1.0)


def test_predictions_that_are_all_alike_rank_nothing() -> None:
    truth = np.arange(50.0)
    for measure in (score_spearman, score_kendall):
        score = measure(np.full(50, 0.5), truth)
        assert score.value == 0 and np.allclose(score.parts.mean(), 0)


def test_precision_counts_the_best_that_are_found() -> None:
    truth = np.arange(100.0)
    predicted = truth.copy()
    predicted[[95, 96]] = 50.5  # two of the best five are missed
    predicted[[0, 1, 2, 3]] = 60.5  # where the worst are thought to be does not matter
    assert score_precision(predicted, truth).value == pytest.approx(0.6)
    assert [count_top(n) for n in (3, 20, 30, 100, 10_000)] == [1, 1, 2, 5, 500]


def test_concordance_with_some_cells_stands_for_that_with_all() -> None:
    """Cells in order of truth, of which the better half is guessed at random."""
    truth, rng = np.arange(600.0), np.random.default_rng(0)
    predicted = np.where(truth < 300, truth, rng.uniform(300, 600, 600))
    score = score_kendall(predicted, truth)
    signs = (np.sign(values[:, None] - values) for values in (predicted, truth))
    own = np.multiply(*signs).mean(axis=1)  # with each of the others
    assert np.corrcoef(score.parts, own)[0, 1] > 0.97


def test_cells_that_were_not_asked_have_no_part_in_a_resample() -> None:
    parts = np.where(np.arange(40) % 3 == 0, 0.7, np.nan) * np.ones((2, 1))
    np.testing.assert_allclose(average_resamples(parts, draw_cells(40, 2, 50, [1])), 0.7, rtol=1e-6)


def test_resamples_hold_as_many_cells_as_there_are() -> None:
    draws = draw_cells(40, 3, 30, [1])
    assert (draws.cells.sum(axis=1) == 40).all() and draws.cells.max() > 1
    assert draws.trials.shape == (30, 3) and set(draws.trials.ravel()) == {0, 1, 2}


def test_intervals_hold_19_of_20_resamples_and_no_figure_beyond_1() -> None:
    found = bound(0.25, np.linspace(-1.2, 1.0, 221))
    assert (found.value, found.low) == (0.25, pytest.approx(-1.0))
    assert found.high == pytest.approx(1.0 - 0.025 * 2.2)
    negative = bound(-0.5, np.linspace(-0.6, -0.4, 201))
    assert (negative.low, negative.high) == (pytest.approx(-0.595), pytest.approx(-0.405))


def test_intervals_agree_with_a_plain_bootstrap() -> None:
    predicted, truth = draw_pair(3, 120)
    rng = np.random.default_rng(4)
    for measure in MEASURES.values():
        plain = []
        for _ in range(500):
            drawn = rng.integers(0, 120, 120)
            plain.append(measure(predicted[drawn], truth[drawn]).value)
        parts = measure(predicted, truth).parts[None]
        linear = average_resamples(parts, draw_cells(120, 1, 500, [5]))
        assert abs(np.std(linear) - np.std(plain)) < 0.35 * np.std(plain)
        assert abs(np.mean(linear) - measure(predicted, truth).value) < 0.5 * np.std(plain)


def test_both_cells_and_trials_are_resampled() -> None:
    truth = np.arange(200.0)
    rng = np.random.default_rng(0)
    alike = np.stack([truth + 30 * rng.normal(size=200)] * 6)
    unlike = np.stack([truth * sign for sign in (1, 1, 1, -1, -1, -1)]) + rng.normal(size=200)
    asked = np.ones((6, 200), np.bool_)
    draws = draw_cells(200, 6, 300, [1])
    narrow, _ = estimate_trials(score_trials(score_spearman, alike, truth, asked), draws)
    wide, _ = estimate_trials(score_trials(score_spearman, unlike, truth, asked), draws)
    assert 0.01 < narrow.high - narrow.low < 0.15
    assert wide.high - wide.low > 0.8
    assert narrow.low <= narrow.value <= narrow.high


def test_each_trial_counts_its_own_cells_only() -> None:
    truth = np.arange(20.0)
    predicted = np.stack([truth, -truth])
    asked = np.zeros((2, 20), np.bool_)
    asked[0, :10] = asked[1, 10:] = True
    parts = score_trials(score_spearman, predicted, truth, asked)
    assert np.isnan(parts[~asked]).all()
    assert np.nanmean(parts, axis=1).tolist() == pytest.approx([1.0, -1.0])
    pooled = score_pooled(score_spearman, predicted, truth, asked)
    expected = spearmanr(np.concatenate([truth[:10], -truth[10:]]), truth).statistic
    assert np.nanmean(pooled) == pytest.approx(expected)


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES.keys())
def test_contributions_of_pooled_trials_are_those_of_the_list(measure) -> None:
    predicted, truth = draw_pair(1, 80)
    both = np.stack([predicted, predicted[::-1]])
    whole = measure(both.ravel(), np.tile(truth, 2)).parts.reshape(2, 80)
    np.testing.assert_array_equal(score_pooled(measure, both, truth, np.ones((2, 80), np.bool_)), whole)


def test_pooled_trials_of_different_sizes_are_one_list() -> None:
    truth, rng = np.arange(60.0), np.random.default_rng(0)
    predicted = np.stack([truth + 5 * rng.normal(size=60), -truth])
    asked = np.zeros((2, 60), np.bool_)
    asked[0], asked[1, :6] = True, True
    pooled, _ = estimate_trials(
        score_pooled(score_spearman, predicted, truth, asked), draw_cells(60, 2, 100, [1])
    )
    expected = spearmanr(predicted[asked], np.broadcast_to(truth, (2, 60))[asked]).statistic
    assert pooled.value == pytest.approx(expected)


def test_pairs_are_resampled_together() -> None:
    truth = np.arange(60.0)
    rng = np.random.default_rng(0)
    one = (truth + 20 * rng.normal(size=60))[None]
    other = one + 0.5 * rng.normal(size=60)
    asked = np.ones((1, 60), np.bool_)
    draws = draw_cells(60, 1, 300, [1])
    (a, drawn_a), (b, drawn_b) = (
        estimate_trials(score_trials(score_spearman, predicted, truth, asked), draws)
        for predicted in (one, other)
    )
    paired = bound(b.value - a.value, drawn_b - drawn_a)
    assert paired.high - paired.low < (a.high - a.low) / 2


def test_ceilings_are_asked_or_simulated_alike() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(0.5, 0.02, 2_000)
    noisy = truth + rng.normal(0, 0.01, 2_000)
    asked = find_ceilings(noisy, truth, 0.01, seed=0)
    simulated = find_ceilings(noisy, None, 0.01, seed=0, draws=5)
    assert asked["spearman"] == pytest.approx(spearmanr(truth, noisy).statistic)
    for name in MEASURES:
        assert simulated[name] == pytest.approx(asked[name], abs=0.05)
    again, other = (find_ceilings(noisy, None, 0.01, seed=seed, draws=5) for seed in (0, 1))
    assert again == simulated and other["spearman"] != simulated["spearman"]
    assert all(np.isnan(value) for value in find_ceilings(noisy, np.full(2_000, np.nan), np.nan, 0).values())
