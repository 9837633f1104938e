"""Figures of rank: Spearman, Kendall tau, precision at the top, each with what it takes to bootstrap it.

Every figure comes as a value and each cell's contribution to it: the value is the contributions' mean, and
resampling cells means averaging them anew (the bootstrap of the linearised statistic). So hundreds of
resamples of 20 trials on 10,000 cells are one matrix product, and two predictors can be resampled together,
which gives intervals of their difference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata

from pnas_sim.space.arrays import Floats
from pnas_sim.study.resampling import Estimate

TOP_SHARE = 0.05
KENDALL_PARTNERS = 128  # cells that each one is compared with for its contribution; the value uses all
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Score:
    """A figure on n cells.

    Attributes:
        value: of the figure.
        parts: `float64[n]`, contributions, whose mean is the value.
    """

    value: float
    parts: Floats


Measure: TypeAlias = Callable[[Floats, Floats], Score]


def score_spearman(predicted: Floats, truth: Floats) -> Score:
    """Spearman's rank correlation of n cells; 0 where all are predicted alike, which ranks nothing.

    A contribution is the value plus the influence of the cell on a correlation of given ranks.
    """
    one, other = _standardise(rankdata(predicted)), _standardise(rankdata(truth))
    value = float(one @ other / len(one))
    return Score(value, one * other + value * (1 - (one**2 + other**2) / 2))


def score_kendall(predicted: Floats, truth: Floats) -> Score:
    """Kendall's tau-b of n cells; 0 where all are predicted alike.

    A contribution is twice the cell's own concordance with others less the value, as of any U-statistic; the
    concordance is taken over some 128 others, evenly spread, where there are more.
    """
    if np.ptp(predicted) == 0 or np.ptp(truth) == 0:
        return Score(0.0, np.zeros(len(truth)))
    value = float(kendalltau(predicted, truth).statistic)
    partners = np.unique(np.linspace(0, len(truth) - 1, KENDALL_PARTNERS).round().astype(np.intp))
    ranks = (rankdata(values).astype(np.float32) for values in (predicted, truth))
    signs = (np.sign(rank[:, None] - rank[partners]) for rank in ranks)
    own = np.multiply(*signs).mean(axis=1, dtype=np.float64)
    return Score(value, value + 2 * (own - own.mean()))


def score_precision(predicted: Floats, truth: Floats) -> Score:
    """The share of the truly best 5% (one cell at least) that are among the predicted best 5%.

    A contribution is the value plus the cell's influence on a ratio of counts.
    """
    best = _mark_top(truth)
    found, share = best & _mark_top(predicted), best.mean()
    value = float(found.sum() / best.sum())
    return Score(value, value + (found - value * best) / share)


MEASURES: Mapping[str, Measure] = MappingProxyType(
    {"spearman": score_spearman, "kendall_tau": score_kendall, "top5_precision": score_precision}
)


def _standardise(ranks: Floats) -> Floats:
    spread = ranks - ranks.mean()
    deviation = spread.std()
    return spread / deviation if deviation > 0 else np.zeros(len(ranks))


def _mark_top(values: Floats) -> NDArray[np.bool_]:
    """Marks the highest 5%; of equals the first."""
    top = np.zeros(len(values), np.bool_)
    top[np.argsort(-values, kind="stable")[: count_top(len(values))]] = True
    return top


def count_top(cells: int) -> int:
    """How many of some cells are the best 5%; one at least."""
    return max(1, round(TOP_SHARE * cells))


def score_trials(measure: Measure, predicted: Floats, truth: Floats, asked: NDArray[np.bool_]) -> Floats:
    """Contributions of every trial, each scored by itself: `float64[trials, n]`, NaN where not asked.

    Args:
        measure: one of `MEASURES`.
        predicted: `float64[trials, n]`.
        truth: `float64[n]`.
        asked: `bool[trials, n]`, the cells that count in each trial.
    """
    parts = np.full(predicted.shape, np.nan)
    for trial, mine in enumerate(asked):
        parts[trial, mine] = measure(predicted[trial, mine], truth[mine]).parts
    return parts


def score_pooled(measure: Measure, predicted: Floats, truth: Floats, asked: NDArray[np.bool_]) -> Floats:
    """Contributions where the cells of all trials are one list, as in the paper's table 1; else as above.

    Where trials have different numbers of cells, each contribution is weighted by its trial's, so that the
    mean over trials of their means is the figure of the whole list.
    """
    parts = np.full(predicted.shape, np.nan)
    truths = np.broadcast_to(truth, predicted.shape)
    parts[asked] = measure(predicted[asked], truths[asked]).parts
    counts = asked.sum(axis=1)
    return np.asarray(parts * (counts / counts.mean())[:, None], np.float64)


@dataclass(frozen=True, slots=True)
class CellResamples:
    """Draws of cells and trials, the same for every predictor, so that differences are paired.

    Attributes:
        cells: `float32[resamples, n]`, how often each cell was drawn.
        trials: `intp[resamples, trials]`, the trials drawn.
    """

    cells: NDArray[np.float32]
    trials: NDArray[np.intp]


def draw_cells(cells: int, trials: int, resamples: int, seed: list[int]) -> CellResamples:
    """Draws cells and trials with replacement."""
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(cells, np.full(cells, 1 / cells), resamples)
    return CellResamples(counts.astype(np.float32), rng.integers(0, trials, (resamples, trials)))


def average_resamples(parts: Floats, resamples: CellResamples) -> Floats:
    """The figure of every resample, `float64[resamples]`: over its trials, the mean over its cells.

    Args:
        parts: `float64[trials, n]`, contributions; NaN where a cell does not count.
        resamples: of these trials and cells.
    """
    counts = np.isfinite(parts)
    total = resamples.cells @ np.where(counts, parts, 0.0).T.astype(np.float32)
    weight = resamples.cells @ counts.T.astype(np.float32)
    by_trial = total / np.maximum(weight, 1e-9)
    chosen = np.take_along_axis(by_trial, resamples.trials, axis=1)
    return np.asarray(chosen.mean(axis=1), np.float64)


UNKNOWN = Estimate(float("nan"))


def estimate_trials(
    parts: Floats, resamples: CellResamples, least: float | None = None
) -> tuple[Estimate, Floats]:
    """The mean over trials with its interval, not below `least`, and the resamples that this comes from."""
    value = float(np.nanmean(parts, axis=1).mean())
    drawn = average_resamples(parts, resamples)
    return bound(value, drawn, least=least), drawn


def bound(value: float, drawn: Floats, largest: float = 1.0, least: float | None = None) -> Estimate:
    """A value with the interval of its resamples, neither end above `largest` or below `least` (minus that).

    Every figure here is within [-1, 1], but the resamples of its linearised form need not be. The difference
    of two figures may be as large as 2.
    """
    tail = 100 * (1 - CONFIDENCE) / 2
    least = -largest if least is None else least
    low, high = np.percentile(np.clip(drawn, least, largest), [tail, 100 - tail]).tolist()
    return Estimate(value, low, high)


def find_ceilings(
    noisy: Floats, expected: Floats | None, noise: float, seed: int, draws: int = 50
) -> dict[str, float]:
    """What each figure would be for one who knew the noise-free truth, on noisy truth; NaN if unknown.

    Where the noise-free truth of all cells is known, it is asked. Else it is simulated: accuracies shrunk
    towards their mean until noise of the measured deviation gives back their spread.

    Args:
        noisy: `float64[n]`.
        expected: `float64[n]`; None where it is not known by other means than the noisy ones.
        noise: deviation of a seed.
        seed: of the simulation.
        draws: of noise.
    """
    if expected is not None and np.isfinite(expected).all():
        return {name: measure(expected, noisy).value for name, measure in MEASURES.items()}
    variance = float(noisy.var())
    if not np.isfinite(noise) or variance == 0:
        return dict.fromkeys(MEASURES, float("nan"))
    rng = np.random.default_rng([seed, len(noisy)])
    truth = noisy.mean() + np.sqrt(max(0.0, 1 - noise**2 / variance)) * (noisy - noisy.mean())
    found = [
        [measure(truth, truth + rng.normal(0, noise, len(truth))).value for measure in MEASURES.values()]
        for _ in range(draws)
    ]
    return dict(zip(MEASURES, np.mean(found, axis=0).tolist(), strict=True))
