"""What a surrogate predicts beside the validation accuracy: earlier checkpoints, test accuracy, seconds.

They are the same whatever the surrogate's family: ridge regressions on the cell's features, which cost next
to nothing, so that a search pays for the accuracy it asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnas_sim.evaluate import Status
from pnas_sim.space.arrays import Floats
from pnas_tables.figures import mean_by_cell
from pnas_tables.record import Table
from pnas_tables.sample import Sample, choose_repeats, is_sealed
from pnas_tables.scale import Scale

PENALTIES = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
FEWEST_CELLS = 20


@dataclass(frozen=True, slots=True)
class Line:
    """A linear function of features.

    Attributes:
        weights: `float64[f]`.
        level: its value where all features are 0.
    """

    weights: Floats
    level: float

    def at(self, features: Floats) -> Floats:
        """Its values `float64[n]` for `float64[n, f]`; those of one cell do not depend on the others."""
        return np.asarray((features * self.weights).sum(axis=1) + self.level, np.float64)


def fit_line(features: Floats, targets: Floats) -> tuple[Line, Floats]:
    """Ridge regression on standardised features, the penalty chosen by leave-one-out.

    Args:
        features: `float64[n, f]`.
        targets: `float64[n]`.

    Returns:
        The line, and the leave-one-out residuals `float64[n]`.
    """
    center, spread = features.mean(axis=0), features.std(axis=0)
    scale = np.where(spread > 1e-12, spread, np.inf)
    left, singular, right = np.linalg.svd((features - center) / scale, full_matrices=False)
    level = float(targets.mean())
    projected = left.T @ (targets - level)

    def leave_one_out(penalty: float) -> Floats:
        shrunk = singular**2 / (singular**2 + penalty)
        leverage = (left**2 * shrunk).sum(axis=1) + 1 / len(targets)
        return np.asarray((targets - level - left @ (shrunk * projected)) / (1 - leverage), np.float64)

    penalty = min(PENALTIES, key=lambda one: float((leave_one_out(one) ** 2).mean()))
    weights = right.T @ (singular / (singular**2 + penalty) * projected) / scale
    return Line(weights, level - float(center @ weights)), leave_one_out(penalty)


@dataclass(frozen=True, slots=True)
class Extras:
    """Fitted figures beside the validation accuracy.

    Attributes:
        curves: for each checkpoint before the last, its score minus the last one's.
        curve_effects: deviation, in scores, of a cell's own departure from that.
        test_gap: mean of test minus validation accuracy; None if no test accuracy is known.
        test_effect: deviation of a cell's own departure from that.
        seconds: log seconds of a whole training; None if unknown.
    """

    curves: tuple[Line, ...]
    curve_effects: tuple[float, ...]
    test_gap: float | None
    test_effect: float
    seconds: Line | None

    def as_arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays and JSON values that `read` takes."""
        lines = [*self.curves, *([self.seconds] if self.seconds else [])]
        width = len(lines[0].weights) if lines else 0
        rows = [np.append(line.weights, line.level) for line in lines]
        about = {
            "curve_effects": list(self.curve_effects),
            "test_gap": self.test_gap,
            "test_effect": self.test_effect,
            "has_seconds": self.seconds is not None,
        }
        return {"extra-lines": np.array(rows).reshape(len(rows), width + 1)}, about

    @classmethod
    def read(cls, arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> Extras:
        """What `as_arrays` gave."""
        lines = [Line(row[:-1], float(row[-1])) for row in arrays["extra-lines"]]
        effects = tuple(float(effect) for effect in about["curve_effects"])
        seconds = lines.pop() if about["has_seconds"] else None
        gap = about["test_gap"]
        return cls(
            tuple(lines), effects, None if gap is None else float(gap), float(about["test_effect"]), seconds
        )


def fit_extras(table: Table, sample: Sample, scales: list[Scale]) -> Extras:
    """Everything beside the validation accuracy, from the cells of `sample`."""
    final = scales[-1].to_scores(sample.final)
    curves, effects = [], []
    for place, scale in enumerate(scales[:-1]):
        known = ~np.isnan(sample.accuracies[:, place])
        gaps = scale.to_scores(sample.accuracies[known, place]) - final[known]
        line, residuals = fit_line(sample.features[known], gaps)
        between = _score_gaps(table, place, scales)
        curves.append(line)
        effects.append(_own_deviation(residuals, between, sample.runs[known]))
    gap, effect = _measure_test_gap(table)
    timed = sample.seconds > 0
    seconds = None
    if timed.sum() >= FEWEST_CELLS:
        seconds, _ = fit_line(sample.features[timed], np.log(sample.seconds[timed]))
    return Extras(tuple(curves), tuple(effects), gap, effect, seconds)


def _score_gaps(table: Table, place: int, scales: list[Scale]) -> float:
    """Variance, between seeds of a cell, of a checkpoint's score minus the last one's."""
    gaps = scales[place].to_scores(table.curves[:, place]) - scales[-1].to_scores(table.valid_accuracy)
    return within_variance(table, gaps) or 0.0


def within_variance(table: Table, values: Floats) -> float | None:
    """Pooled variance of a figure (`float64[m]`) between the seeds of one cell; None if no cell has two.

    Of runs that `choose_repeats` chooses.
    """
    usable = choose_repeats(table) & ~np.isnan(values)
    cells, values = table.run_cells[usable], values[usable]
    counts = np.bincount(cells, minlength=len(table))
    means = np.bincount(cells, values, minlength=len(table)) / np.maximum(counts, 1)
    freedom = int(np.maximum(counts - 1, 0).sum())
    return float(((values - means[cells]) ** 2).sum() / freedom) if freedom else None


def _own_deviation(residuals: Floats, between_seeds: float, runs: Floats) -> float:
    """What of the residuals of means over `runs` seeds is the cells' own, as a deviation."""
    return float(np.sqrt(max(0.0, float((residuals**2 - between_seeds / runs).mean()))))


def _measure_test_gap(table: Table) -> tuple[float | None, float]:
    """Mean of test minus validation accuracy, and the deviation of cells from it beyond seed noise.

    The latter is mostly the error of sampling the two sets of images, which all seeds share.
    """
    fitted = np.array([not is_sealed(origin) for origin in table.origins], np.bool_)
    ended = (table.status == Status.OK) & fitted[table.run_cells]
    gaps = np.where(ended, table.test_accuracy - table.valid_accuracy, np.nan)
    if np.isnan(gaps).all():
        return None, 0.0
    means = mean_by_cell(table, gaps)
    runs = np.bincount(table.run_cells[~np.isnan(gaps)], minlength=len(table)).astype(np.float64)
    known = runs > 0
    middle, between_seeds = float(means[known].mean()), within_variance(table, gaps) or 0.0
    return middle, _own_deviation(means[known] - middle, between_seeds, runs[known])
