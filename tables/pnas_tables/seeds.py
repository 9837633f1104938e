"""What another training seed changes: deviation against accuracy, and how often a run diverges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_sim.evaluate import Status
from pnas_sim.noise import Keys, standard_noise
from pnas_sim.space.arrays import Floats
from pnas_tables.record import Table
from pnas_tables.sample import choose_repeats

Mask: TypeAlias = NDArray[np.bool_]

MIXING_PRIOR = 5.0  # degrees of freedom in which the noise of checkpoints did not go together
SLOPE_PRIOR = 20.0  # precision of the slope around 0: about 40 repeated runs outweigh it
BOUNDED_AT = 0.99  # a cell's variance counts for the slope up to this quantile of what the fit expects of it


@dataclass(frozen=True, slots=True)
class Deviation:
    """Standard deviation between seeds, a rising or falling exponential of accuracy.

    Outside the accuracies it was measured at it stays as it is at their ends.

    Attributes:
        middle: deviation at the middle accuracy; 0 where no cell has two seeds.
        slope: of the log of the variance, for each `spread` of accuracy.
        center: the middle accuracy.
        spread: deviation of the accuracies of the cells it was measured on.
        lowest: of these accuracies.
        highest: of these accuracies.
        freedom: degrees of freedom it stands on.
    """

    middle: float = 0.0
    slope: float = 0.0
    center: float = 0.0
    spread: float = 1.0
    lowest: float = 0.0
    highest: float = 1.0
    freedom: int = 0

    def at(self, accuracies: Floats) -> Floats:
        """Deviations of cells of these mean accuracies, of any shape."""
        places = (np.clip(accuracies, self.lowest, self.highest) - self.center) / self.spread
        return np.asarray(self.middle * np.exp(0.5 * self.slope * places), np.float64)


def fit_deviation(table: Table, values: Floats) -> Deviation:
    """The deviation of one figure (`float64[m]`, one for each run) between the seeds of repeated cells.

    Maximum likelihood of the within-cell variances (gamma distributed, log link), with a normal prior on the
    slope that keeps it near 0 until there are enough repeated runs. One cell with an odd run, far from the
    others in accuracy, would tilt it: variances count for the slope only up to the `BOUNDED_AT` quantile. For
    the level at that slope they count in full, so that the mean variance over cells is as measured.
    """
    means, variances, freedom = _spread_within(table, values)
    if len(means) == 0 or not variances.any():
        return Deviation(freedom=int(freedom.sum()))
    center, spread = float(np.average(means, weights=freedom)), float(means.std()) or 1.0
    places = (means - center) / spread
    level, slope = _fit_log_variance(places, variances, freedom)
    return Deviation(
        middle=float(np.exp(0.5 * level)),
        slope=slope,
        center=center,
        spread=spread,
        lowest=float(means.min()),
        highest=float(means.max()),
        freedom=int(freedom.sum()),
    )


def _spread_within(table: Table, values: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean, unbiased variance and degrees of freedom of each cell with several runs of `choose_repeats`."""
    usable = choose_repeats(table) & ~np.isnan(values)
    cells, values = table.run_cells[usable], values[usable]
    counts = np.bincount(cells, minlength=len(table))
    repeated = counts > 1
    safe = np.maximum(counts, 1)
    means = np.bincount(cells, values, minlength=len(table)) / safe
    squares = np.bincount(cells, (values - means[cells]) ** 2, minlength=len(table))
    freedom = (counts - 1)[repeated].astype(np.float64)
    return means[repeated], squares[repeated] / freedom, freedom


def _fit_log_variance(places: Floats, variances: Floats, freedom: Floats) -> tuple[float, float]:
    """Level and slope of the log variance: the slope by Newton's method with variances that are bounded."""
    from scipy.special import chdtri

    most = chdtri(freedom, 1 - BOUNDED_AT) / freedom  # times what is expected
    level, slope = float(np.log(np.average(variances, weights=freedom))), 0.0
    for _ in range(60):
        expected = np.exp(level + slope * places)
        ratio = 0.5 * freedom * np.minimum(variances, most * expected) / expected
        pull = 0.5 * freedom - ratio
        gradient = np.array([pull.sum(), (pull * places).sum() + SLOPE_PRIOR * slope])
        mixed = (ratio * places).sum()
        curvature = np.array([[ratio.sum(), mixed], [mixed, (ratio * places**2).sum() + SLOPE_PRIOR]])
        step = np.clip(np.linalg.solve(curvature, gradient), -1, 1)
        level, slope = level - float(step[0]), slope - float(step[1])
    level = float(np.log(np.average(variances * np.exp(-slope * places), weights=freedom)))
    return level, slope


@dataclass(frozen=True, slots=True)
class SeedNoise:
    """What separates one training seed from the mean over seeds.

    Attributes:
        valid: deviation of the validation accuracy at each checkpoint.
        test: deviation of the test accuracy.
        correlation: between the noise of both at the last checkpoint.
        divergence: share of runs that diverge although the cell can be trained.
        divergence_runs: runs of repeated cells that this share is of.
        mixing: what the validation noise of each checkpoint is made of: weights of independent draws, one for
            each checkpoint, whose squares sum to 1; the last checkpoint's noise is its own draw. Empty: each
            has its own, as in files written before this was measured.
    """

    valid: tuple[Deviation, ...]
    test: Deviation
    correlation: float
    divergence: float
    divergence_runs: int
    mixing: tuple[tuple[float, ...], ...] = ()

    @classmethod
    def measure(cls, table: Table) -> SeedNoise:
        """From the cells with several seeds; no noise where there are none: nothing was measured."""
        curves = [*table.curves[:, :-1].T, table.valid_accuracy]
        valid = tuple(fit_deviation(table, values) for values in curves)
        test = fit_deviation(table, table.test_accuracy)
        return cls(valid, test, _correlate(table), *_measure_divergence(table), find_mixing(table))

    def draw(
        self, keys: Keys, epochs: Sequence[float], checkpoint: int, seed: int, valid: Floats, test: Floats
    ) -> Drawn:
        """Noise that belongs to (cell, checkpoint, seed).

        Args:
            keys: `uint64[n]`, of the cells.
            epochs: of all checkpoints.
            checkpoint: the place among them of the one asked for.
            seed: the evaluation seed.
            valid: `float64[n]`, noise-free validation accuracy there.
            test: `float64[n]`, noise-free test accuracy.
        """
        weights = self.mixing[checkpoint] if self.mixing else np.eye(len(epochs))[checkpoint].tolist()
        on_valid = np.zeros(len(keys))
        for weight, at in zip(weights, epochs, strict=True):
            if weight:
                on_valid += weight * standard_noise(keys, float(at), seed, "valid")
        own = standard_noise(keys, float(epochs[checkpoint]), seed, "test")
        on_test = self.correlation * on_valid + np.sqrt(1 - self.correlation**2) * own
        diverged = np.zeros(len(keys), np.bool_)
        if self.divergence:
            from scipy.special import ndtr

            # of (cell, seed) and not of epochs: a run that diverges has done so at every checkpoint asked for
            diverged = ndtr(standard_noise(keys, 0.0, seed, "divergence")) < self.divergence
        return Drawn(self.valid[checkpoint].at(valid) * on_valid, self.test.at(test) * on_test, diverged)

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        mixing = [list(weights) for weights in self.mixing]
        return asdict(self) | {"valid": [asdict(one) for one in self.valid], "mixing": mixing}

    @classmethod
    def from_json(cls, about: Mapping[str, Any]) -> SeedNoise:
        """What `as_json` described."""
        valid = tuple(Deviation(**one) for one in about["valid"])
        rest = (float(about["correlation"]), float(about["divergence"]), int(about["divergence_runs"]))
        mixing = tuple(tuple(map(float, weights)) for weights in about.get("mixing", ()))
        return cls(valid, Deviation(**about["test"]), *rest, mixing)


def find_mixing(table: Table) -> tuple[tuple[float, ...], ...]:
    """Weights by which draws of the checkpoints make noise that goes together as it does between seeds.

    What a seed does to a child at one checkpoint it partly still does at the next. Correlations are of
    differences from the cell's mean over seeds, drawn towards 0 by `MIXING_PRIOR`; the weights are their
    Cholesky factor from the last checkpoint backwards: the noise at full training is a draw by itself.
    """
    usable = choose_repeats(table)
    values = np.column_stack([table.curves[:, :-1], table.valid_accuracy])[usable]
    known = ~np.isnan(values).any(axis=1)
    cells, values = table.run_cells[usable][known], values[known]
    counts = np.maximum(np.bincount(cells, minlength=len(table)), 1)
    means = np.column_stack([np.bincount(cells, column, minlength=len(table)) for column in values.T])
    apart = values - (means / counts[:, None])[cells]
    freedom = float((counts - 1).sum())
    sizes = np.sqrt((apart**2).sum(axis=0))
    correlations = (apart.T @ apart) / np.where(sizes > 0, np.outer(sizes, sizes), np.inf)
    drawn = (freedom * correlations + MIXING_PRIOR * np.eye(len(sizes))) / (freedom + MIXING_PRIOR)
    np.fill_diagonal(drawn, 1.0)
    backwards = np.linalg.cholesky(drawn[::-1, ::-1])[::-1, ::-1]
    return tuple(tuple(float(weight) for weight in weights) for weights in backwards)


@dataclass(frozen=True, slots=True)
class Drawn:
    """Seed noise of n cells: what is added to their accuracies, `float64[n]`, and who diverged, `bool[n]`."""

    valid: Floats
    test: Floats
    diverged: Mask


def _correlate(table: Table) -> float:
    """Correlation of seed noise on validation and test images, in [0, .99]; 0 where it is unknown."""
    usable = choose_repeats(table) & ~np.isnan(table.test_accuracy)
    cells = table.run_cells[usable]
    counts = np.maximum(np.bincount(cells, minlength=len(table)), 1)
    valid, test = (
        values - (np.bincount(cells, values, minlength=len(table)) / counts)[cells]
        for values in (table.valid_accuracy[usable], table.test_accuracy[usable])
    )
    product = float(np.sqrt((valid**2).sum() * (test**2).sum()))
    return float(np.clip((valid * test).sum() / product, 0.0, 0.99)) if product else 0.0


def _measure_divergence(table: Table) -> tuple[float, int]:
    """Share of diverged runs among those of cells with several runs of which one ended well; how many."""
    known = table.status != Status.FAILED
    runs = np.bincount(table.run_cells[known], minlength=len(table))
    ended = np.bincount(table.run_cells[table.status == Status.OK], minlength=len(table))
    counted = (runs > 1) & (ended > 0)
    total = int(runs[counted].sum())
    return (float((runs - ended)[counted].sum()) / total if total else 0.0), total
