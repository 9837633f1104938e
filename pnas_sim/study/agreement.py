"""How well predictions and trainings of the same cells agree: ranks, bias, regret, each as sure as it is.

Cells are drawn anew for intervals (percentile bootstrap), as it is other cells that another search would
find.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pnas_sim.errors import SettingError
from pnas_sim.space.arrays import Floats
from pnas_sim.study.resampling import Estimate, Resamples, draw_resamples, estimate, estimate_mean

FEWEST_FOR_RANKS = 8  # fewer cells have any rank correlation by chance
SMALLEST = 1e-300


@dataclass(frozen=True, slots=True)
class Agreement:
    """Predictions beside trainings of n cells.

    Attributes:
        cells: n, those with an accuracy.
        kendall_tau: tau-b of predicted and trained; None below 8 cells, or where all of either are equal.
        spearman: likewise.
        bias: mean of predicted minus trained: above 0 is optimism.
        rmse: root of the mean squared difference.
    """

    cells: int
    kendall_tau: Estimate | None
    spearman: Estimate | None
    bias: Estimate
    rmse: float


def measure_agreement(
    predicted: Floats, trained: Floats, *, resamples: int = 1000, confidence: float = 0.95, seed: int = 0
) -> Agreement | None:
    """Measures how predictions (`float64[n]`) and trained means (`float64[n]`, NaN where none) agree.

    Args:
        predicted: of each cell.
        trained: of the same cells.
        resamples: of the bootstrap.
        confidence: of the intervals, in (0, 1).
        seed: of the bootstrap.

    Returns:
        None where no cell has both.

    Raises:
        SettingError: lengths differ, or a setting is out of its range.
    """
    if len(predicted) != len(trained):
        raise SettingError(f"{len(predicted)} predictions for {len(trained)} trainings; give one for each")
    known = ~(np.isnan(predicted) | np.isnan(trained))
    guesses, truths = predicted[known], trained[known]
    count = len(truths)
    if count == 0:
        return None
    drawn = draw_resamples(1, count, resamples, confidence, seed)
    tau, rho = _estimate_ranks(guesses, truths, drawn)
    apart = guesses - truths
    return Agreement(count, tau, rho, estimate_mean(apart, drawn), float(np.sqrt((apart**2).mean())))


def correlate(predicted: Floats, trained: Floats) -> tuple[float, float] | None:
    """Kendall's tau-b and Spearman's rho; None where they mean nothing (few cells, or no differences)."""
    if len(trained) < FEWEST_FOR_RANKS:
        return None
    return _correlate(predicted, trained)


def _correlate(predicted: Floats, trained: Floats) -> tuple[float, float] | None:
    from scipy.stats import kendalltau, spearmanr

    if np.ptp(predicted) <= SMALLEST or np.ptp(trained) <= SMALLEST:
        return None
    tau, rho = kendalltau(predicted, trained).statistic, spearmanr(predicted, trained).statistic
    return float(tau), float(rho)


def _estimate_ranks(
    predicted: Floats, trained: Floats, drawn: Resamples
) -> tuple[Estimate | None, Estimate | None]:
    whole = correlate(predicted, trained)
    if whole is None:
        return None, None
    pairs = [_correlate(predicted[places], trained[places]) for places in drawn.places]
    values = np.array([pair for pair in pairs if pair is not None], np.float64).reshape(-1, 2)
    tau, rho = (estimate(whole[i], values[:, i], drawn.confidence) for i in range(2))
    return tau, rho


def measure_regret(trained: Floats, winner: int, confidence: float = 0.95) -> Estimate | None:
    """How much the best of the trained cells exceeds the run's winner, without flattering the best.

    The best is chosen by the mean of all seeds but one, and measured by that one; the mean over which one is
    left out is the regret. So a lucky seed cannot both choose a cell and praise it. Below 0: whatever the
    other seeds chose was worse than the winner. Its interval is Student's, of the mean over seeds, where
    there are at least 3: wide for so few, as it must be.

    Args:
        trained: `float64[n, seeds]`, NaN where a training failed; cells with one are left out.
        winner: place of the run's winner among the n.
        confidence: of the interval, in (0, 1).

    Returns:
        None with fewer than 2 seeds or where the winner has no accuracy.
    """
    whole = np.asarray(~np.isnan(trained).any(axis=1))
    seeds = trained.shape[1]
    if seeds < 2 or not whole[winner]:
        return None
    values, own = trained[whole], trained[winner]
    others = (values.sum(axis=1, keepdims=True) - values) / (seeds - 1)
    gaps = values[others.argmax(axis=0), np.arange(seeds)] - own
    mean = float(gaps.mean())
    if seeds < 3:
        return Estimate(mean)
    from scipy.special import stdtrit

    reach = float(stdtrit(seeds - 1, (1 + confidence) / 2) * gaps.std(ddof=1) / np.sqrt(seeds))
    return Estimate(mean, mean - reach, mean + reach)


def measure_seed_deviation(trained: Floats) -> float | None:
    """Deviation of one training from its cell's mean over seeds, pooled; None without a second seed.

    Args:
        trained: `float64[n, seeds]`, NaN where a training failed.
    """
    known = ~np.isnan(trained)
    counts = known.sum(axis=1)
    twice = np.asarray(counts >= 2)
    if not twice.any():
        return None
    values, counts = trained[twice], counts[twice]
    apart = values - (np.where(known[twice], values, 0).sum(axis=1) / counts)[:, None]
    return float(np.sqrt(np.nansum(apart**2) / (counts - 1).sum()))


def average_seeds(trained: Floats) -> Floats:
    """Means over seeds (`float64[n]`) of `float64[n, seeds]` as far as known; NaN where none is."""
    known = ~np.isnan(trained)
    total, count = np.where(known, trained, 0.0).sum(axis=1), known.sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
