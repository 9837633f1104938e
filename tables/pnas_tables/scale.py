"""The scales a surrogate is fitted on: they keep the order of accuracies and bound what can be predicted.

A plain squared-error fit of accuracies put a search's winners far above any real cell; on these scales it
cannot. Which of them serves better is a matter of measurement: `pnas-sim table fit --tune`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pnas_sim.errors import SettingError
from pnas_sim.space.arrays import Floats

LARGEST_KNOTS = 65
LEAST_MARGIN = 0.02  # of the way from the floor to 1; what lies lower counts as this


class Scale(Protocol):
    """A rising map between accuracies and scores of about mean 0 and deviation 1."""

    def to_scores(self, accuracies: Floats) -> Floats:
        """Scores of accuracies, of any shape."""
        ...

    def to_accuracies(self, scores: Floats) -> Floats:
        """Accuracies of scores, of any shape, in [0, 1]."""
        ...

    def as_json(self) -> dict[str, Any]:
        """The map as JSON values."""
        ...


def fit_scale(kind: str, accuracies: Floats, chance: float) -> Scale:
    """The scale of this kind (`normal` or `logit`) for these accuracies (`float64[n]`, n at least 1).

    Raises:
        SettingError: there is no such kind.
    """
    if kind == "normal":
        return NormalScores.fit(accuracies)
    if kind == "logit":
        return FlooredLogit.fit(accuracies, chance)
    raise SettingError(f"scale is {kind!r}; it must be one of: {', '.join(SCALES)}")


def read_scale(about: Mapping[str, Any]) -> Scale:
    """The scale that `as_json` described."""
    return FlooredLogit.from_json(about) if about["kind"] == "logit" else NormalScores.from_json(about)


SCALES = ("normal", "logit")


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
        tie = np.cumsum(kept) - 1  # equal accuracies have the mean of their scores
        values, scores = values[kept], np.bincount(tie, ndtri(chances)) / np.bincount(tie)
        if len(values) == 1:  # all the same: any slope will do
            values, scores = np.array([values[0], values[0] + 1e-6]), np.array([0.0, 1.0])
        return cls(np.asarray(scores, np.float64), np.asarray(values, np.float64))

    def to_scores(self, accuracies: Floats) -> Floats:
        """Scores of accuracies, of any shape."""
        return _interpolate(accuracies, self.accuracies, self.scores)

    def to_accuracies(self, scores: Floats) -> Floats:
        """Accuracies of scores, of any shape, in [0, 1]."""
        return np.clip(_interpolate(scores, self.scores, self.accuracies), 0.0, 1.0)

    def as_json(self) -> dict[str, Any]:
        """The knots as JSON values."""
        return {"kind": "normal", "scores": self.scores.tolist(), "accuracies": self.accuracies.tolist()}

    @classmethod
    def from_json(cls, knots: Mapping[str, Any]) -> NormalScores:
        """The map with these knots."""
        return cls(np.array(knots["scores"], np.float64), np.array(knots["accuracies"], np.float64))


@dataclass(frozen=True, slots=True)
class FlooredLogit:
    """The logit of how far an accuracy lies between guessing and 1, moved and stretched to deviation 1.

    Attributes:
        floor: the accuracy of guessing, below which no prediction falls.
        center: mean logit of the cells it was fitted on.
        spread: their deviation.
    """

    floor: float
    center: float
    spread: float

    @classmethod
    def fit(cls, accuracies: Floats, chance: float) -> FlooredLogit:
        """For these accuracies (`float64[n]`, n at least 1)."""
        logits = cls(chance, 0.0, 1.0).to_scores(accuracies)
        return cls(chance, float(logits.mean()), float(logits.std()) or 1.0)

    def to_scores(self, accuracies: Floats) -> Floats:
        """Scores of accuracies, of any shape."""
        share = np.clip((accuracies - self.floor) / (1 - self.floor), LEAST_MARGIN, 1 - 1e-6)
        return np.asarray((np.log(share / (1 - share)) - self.center) / self.spread, np.float64)

    def to_accuracies(self, scores: Floats) -> Floats:
        """Accuracies of scores, of any shape, between the floor and 1."""
        share = 1 / (1 + np.exp(-(np.clip(scores * self.spread + self.center, -50, 50))))
        return np.asarray(self.floor + (1 - self.floor) * share, np.float64)

    def as_json(self) -> dict[str, Any]:
        """The map as JSON values."""
        return {"kind": "logit", "floor": self.floor, "center": self.center, "spread": self.spread}

    @classmethod
    def from_json(cls, about: Mapping[str, Any]) -> FlooredLogit:
        """The map with these values."""
        return cls(float(about["floor"]), float(about["center"]), float(about["spread"]))


def _interpolate(values: Floats, left: Floats, right: Floats) -> Floats:
    inside = np.interp(values, left, right)
    outer = max(1, len(left) // 10)  # one pair of knots alone would give a steep slope by accident
    low = (right[outer] - right[0]) / (left[outer] - left[0])
    high = (right[-1] - right[-1 - outer]) / (left[-1] - left[-1 - outer])
    below, above = np.minimum(values - left[0], 0), np.maximum(values - left[-1], 0)
    return np.asarray(inside + low * below + high * above, np.float64)
