"""Predictors of one number: log parameters, log multiply-adds, depth. What any clever predictor must beat.

`pnas_sim` may not ask a training backend what a network costs, and a search's space does not say what F, N or
image it is trained with. So costs are counted here from the operations' names, for the paper's search network
(section 4.1: F = 24, N = 2) unless told otherwise, the stem and what the first cell does with it left out. A
callable of the caller's would count exactly, but could be named neither on a command line nor in a run's
record; ranks agree with the exact counts (Spearman .97 and more at every size of the paper's space, tested).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import SettingError
from pnas_sim.predict.base import Prediction
from pnas_sim.predict.features import Wiring, count_reads, count_uses, measure_depths, read_wiring
from pnas_sim.predict.regression import FeaturePredictor, Guess
from pnas_sim.predict.settings import demand_count
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Rows

Weigh: TypeAlias = Callable[[int], int]

STAGES = 3  # after each, filters double and pixels are quartered (section 3.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class CostSettings:
    """Of which network the costs are counted.

    Attributes:
        filters: F of the first stage.
        cells_per_stage: N; the network has 3N cells.
    """

    filters: int = 24
    cells_per_stage: int = 2

    def __post_init__(self) -> None:
        """Refuses counts below 1.

        Raises:
            SettingError: one line naming the setting, its value and its limit.
        """
        for name in ("filters", "cells_per_stage"):
            demand_count(name, getattr(self, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSettings:
    """Of a predictor that has none."""


def _separable(size: int) -> Weigh:
    """Twice depthwise and pointwise (section 3.1)."""
    return lambda filters: 2 * (size * size * filters + filters * filters)


# weights of an operation from F to F filters; they are also its multiply-adds for one pixel
_WEIGHTS: Mapping[str, Weigh] = MappingProxyType(
    {
        "sep3": _separable(3),
        "sep5": _separable(5),
        "sep7": _separable(7),
        "conv1x7": lambda filters: 2 * 7 * filters * max(1, filters // 4),
        "dil3": lambda filters: 9 * filters * filters,
        "id": lambda filters: 0,
        "avg3": lambda filters: 0,
        "max3": lambda filters: 0,
    }
)


def measure_costs(space: CellSpace, cells: Rows, settings: CostSettings) -> Floats:
    """Measures the logarithms of about how many parameters and multiply-adds networks of cells have.

    Args:
        space: of the cells.
        cells: `uint8[n, width]`.
        settings: of which network.

    Returns:
        `float64[n, 2]`; multiply-adds up to a constant: one pixel of the first stage.

    Raises:
        SettingError: an operation of the space whose cost is not known.
    """
    wiring = read_wiring(space, cells)
    used = count_reads(space, wiring).sum(axis=1)
    joined = _count_joined(wiring)
    total = np.zeros((2, len(cells)))
    for filters, adapters, pixels_in, pixels_out in _list_cells(settings):
        operations = used @ np.array([_find_weight(name)(filters) for name in space.operations], np.float64)
        adapting = joined * (adapters * filters)
        total += (operations + adapting, operations * pixels_out + adapting * pixels_in)
    logs: Floats = np.log(np.maximum(total, 1.0)).T
    return logs


def _list_cells(settings: CostSettings) -> Iterator[tuple[int, int, float, float]]:
    """Yields each cell's filters, filters of the two cells it reads, and its pixels before and after."""
    filters = [settings.filters << stage for stage in range(STAGES) for _ in range(settings.cells_per_stage)]
    for place, own in enumerate(filters):
        before, last = (filters[max(0, place - back)] for back in (2, 1))  # stands for the stem, too
        yield own, before + last, (filters[0] / last) ** 2, (filters[0] / own) ** 2


def _measure_cost(space: CellSpace, cells: Rows, column: int, settings: CostSettings) -> Floats:
    costs: Floats = measure_costs(space, cells, settings)[:, [column]]
    return costs


def measure_depth(space: CellSpace, cells: Rows) -> Floats:
    """Measures the longest path of operations through the cell, `float64[n, 1]`."""
    return np.asarray(measure_depths(read_wiring(space, cells)).max(axis=1, keepdims=True), np.float64)


def _count_joined(wiring: Wiring) -> NDArray[np.int64]:
    """Counts the states that the cell's output concatenates: its blocks and unread cell inputs."""
    joined: NDArray[np.int64] = wiring.size + (count_uses(wiring)[:, :2] == 0).sum(axis=1)
    return joined


def _find_weight(operation: str) -> Weigh:
    if operation not in _WEIGHTS:
        known = ", ".join(_WEIGHTS)
        raise SettingError(f"the cost of operation {operation!r} is not known, only of {known}")
    return _WEIGHTS[operation]


def fit_line(features: Floats, accuracies: Floats, seed: int) -> Guess:
    """Fits accuracy as a line in one number (`float64[n, 1]`) by least squares; no seed is needed.

    The line may fall: whether more parameters are better is for the cells to say. Where all cells have the
    same number, their mean is predicted.
    """
    del seed
    centre, mean = features[:, 0].mean(), accuracies.mean()
    spread = features[:, 0] - centre
    squares = float(spread @ spread)
    known = squares > 0 and bool(np.ptp(features[:, 0]) > 0)  # the mean of equal numbers may be rounded
    slope = float(spread @ (accuracies - mean)) / squares if known else 0.0
    return lambda asked: Prediction(mean=mean + slope * (asked[:, 0] - centre))


def make_log_parameters(space: CellSpace, settings: CostSettings) -> FeaturePredictor:
    """Makes the predictor that knows log parameters alone.

    Raises:
        SettingError: an operation of the space whose cost is not known.
    """
    return _make_cost(space, 0, settings)


def make_multiply_adds(space: CellSpace, settings: CostSettings) -> FeaturePredictor:
    """Makes the predictor that knows log multiply-adds alone.

    Raises:
        SettingError: an operation of the space whose cost is not known.
    """
    return _make_cost(space, 1, settings)


def make_depth(space: CellSpace, settings: NoSettings) -> FeaturePredictor:
    """Makes the predictor that knows depth alone."""
    del settings
    return FeaturePredictor(space, measure_depth, fit_line)


def _make_cost(space: CellSpace, column: int, settings: CostSettings) -> FeaturePredictor:
    for name in space.operations:
        _find_weight(name)  # a space it does not know is refused now, not after a level
    return FeaturePredictor(space, partial(_measure_cost, column=column, settings=settings), fit_line)
