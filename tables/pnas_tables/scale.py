"""The scale a surrogate is fitted on: normal scores of accuracy, which keep the order and bound the tails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

LARGEST_KNOTS = 65


@dataclass(frozen=True, slots=True)
class NormalScores:
    """A rising piecewise linear map between accuracies and normal scores.

    Beyond the outermost knots it goes on with the slope of the outer tenth of knots, so that two cells better
    than any that was trained still differ; accuracies stay in [0, 1].

    Attributes:
        scores: `float64[k]`, rising.
        accuracies: `float64[k]`, rising.
    """

    scores: Floats
    accuracies: Floats

    @classmethod
    def fit(cls, accuracies: Floats) -> NormalScores:
        """Knots at evenly spread quantiles of `accuracies` (`float64[n]`, n at least 1)."""
        from scipy.special import ndtri

        n = len(accuracies)
        count = min(n, LARGEST_KNOTS)
        chances = (np.arange(count) + 0.5) / count
        # quantiles between the order statistics at (i - 0.5) / n, the ones whose scores they get
        values = np.quantile(accuracies, chances, method="hazen")
        kept = np.concatenate([[True], np.diff(values) > 1e-9])
        values, scores = values[kept], ndtri(chances)[kept]
        if len(values) == 1:  # all the same: any slope will do
            values, scores = np.array([values[0], values[0] + 1e-6]), np.array([0.0, 1.0])
        return cls(np.asarray(scores, np.float64), np.asarray(values, np.float64))

    def to_scores(self, accuracies: Floats) -> Floats:
        """Scores of accuracies, of any shape."""
        return _interpolate(accuracies, self.accuracies, self.scores)

    def to_accuracies(self, scores: Floats) -> Floats:
        """Accuracies of scores, of any shape, in [0, 1]."""
        return np.clip(_interpolate(scores, self.scores, self.accuracies), 0.0, 1.0)

    def as_json(self) -> dict[str, list[float]]:
        """The knots as JSON values."""
        return {"scores": self.scores.tolist(), "accuracies": self.accuracies.tolist()}

    @classmethod
    def from_json(cls, knots: Mapping[str, Any]) -> NormalScores:
        """The map with these knots."""
        return cls(np.array(knots["scores"], np.float64), np.array(knots["accuracies"], np.float64))


def _interpolate(values: Floats, left: Floats, right: Floats) -> Floats:
    inside = np.interp(values, left, right)
    outer = max(1, len(left) // 10)  # one pair of knots alone would give a steep slope by accident
    low = (right[outer] - right[0]) / (left[outer] - left[0])
    high = (right[-1] - right[-1 - outer]) / (left[-1] - left[-1 - outer])
    below, above = np.minimum(values - left[0], 0), np.maximum(values - left[-1], 0)
    return np.asarray(inside + low * below + high * above, np.float64)
