"""K-nearest neighbours: the mean accuracy of the most similar cells fitted. The floor of what learns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pnas_sim.predict.base import Prediction
from pnas_sim.predict.features import describe_shares
from pnas_sim.predict.regression import FeaturePredictor, Guess
from pnas_sim.predict.settings import demand_count
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Rows

SAME_DISTANCE = 1e-9  # squared distances this close are equal but for rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighbourSettings:
    """Settings of the nearest-neighbour predictor.

    Attributes:
        neighbours: cells averaged, at least 1; more where several are equally far.
    """

    neighbours: int = 10

    def __post_init__(self) -> None:
        """Refuses a count below 1.

        Raises:
            SettingError: it is not a whole number of at least 1.
        """
        demand_count("neighbours", self.neighbours)


def make_knn(space: CellSpace, settings: NeighbourSettings) -> FeaturePredictor:
    """Makes a nearest-neighbour predictor on shares of operations by what they read."""

    def remember(features: Floats, accuracies: Floats, seed: int) -> Guess:
        del seed
        return lambda asked: average_nearest(features, accuracies, asked, settings.neighbours)

    return FeaturePredictor(space, _describe_directions, remember)


def _describe_directions(space: CellSpace, cells: Rows) -> Floats:
    """Describes cells by their shares at length 1: of shares as they are, large mixed cells lie near all."""
    shares = describe_shares(space, cells)
    directions: Floats = shares / np.linalg.norm(shares, axis=1, keepdims=True)
    return directions


def average_nearest(features: Floats, accuracies: Floats, asked: Floats, neighbours: int) -> Prediction:
    """Averages the accuracies of the cells nearest to each one asked about.

    All cells as far as the last neighbour take part, so that no order of cells decides between equals.

    Args:
        features: `float64[m, f]` of the cells fitted.
        accuracies: `float64[m]`.
        asked: `float64[n, f]`.
        neighbours: k; all m cells where there are fewer.

    Returns:
        The neighbours' mean, and as std their deviation (n in the denominator), `float64[n]` each.
    """
    products = asked @ features.T
    distances = (asked**2).sum(axis=1)[:, None] + (features**2).sum(axis=1) - 2 * products
    last = min(neighbours, len(features)) - 1
    reach = np.partition(distances, last, axis=1)[:, last] + SAME_DISTANCE
    near = (distances <= reach[:, None]).astype(np.float64)
    count = near.sum(axis=1)
    mean = near @ accuracies / count
    spread = near @ (accuracies - accuracies.mean()) ** 2 / count - (mean - accuracies.mean()) ** 2
    return Prediction(mean=mean, std=np.sqrt(np.maximum(spread, 0.0)))
