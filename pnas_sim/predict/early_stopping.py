"""Keeps the weights that did best on the cells each member is not fitted on, and says when to stop."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pnas_sim.predict.stacked import StackedNetwork, Weights


@dataclass(slots=True)
class BestWeights:
    """The best of m members so far, by mean absolute error on the cells that each of them was not fitted on.

    A member that was fitted on everything, for want of cells, is watched on its own cells.

    Attributes:
        network: what turns weights and features into logits.
        features: `[n, f]`, of all cells.
        accuracies: `float32[n]`.
        training_sets: m index arrays.
        patience: epochs without improvement of any member, after which the fit is over.
    """

    network: StackedNetwork
    features: Tensor
    accuracies: Tensor
    training_sets: list[NDArray[np.intp]]
    patience: int
    best: Weights = field(init=False, default_factory=dict)
    _watched: Tensor = field(init=False)
    _errors: Tensor = field(init=False)
    _waited: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        """Lists the watched cells, `int64[m, w]`; where there is one fewer, its first counts twice."""
        everything = np.arange(len(self.accuracies))
        left = [np.setdiff1d(everything, chosen) for chosen in self.training_sets]
        left = [rest if len(rest) else chosen for rest, chosen in zip(left, self.training_sets, strict=True)]
        most = max(map(len, left))
        self._watched = torch.from_numpy(np.stack([np.resize(rest, most) for rest in left]).astype(np.int64))
        self._errors = torch.full((len(left),), float("inf"))

    def take(self, weights: Weights) -> bool:
        """Looks at the weights after an epoch; returns whether the fit is over."""
        with torch.no_grad():
            predicted = torch.sigmoid(self.network.logits(weights, self.features[self._watched]))
            errors = (predicted - self.accuracies[self._watched]).abs().mean(dim=1)
            better = errors < self._errors
            self._errors = torch.where(better, errors, self._errors)
            for name, value in weights.items():
                self.best.setdefault(name, value.detach().clone())[better] = value.detach()[better]
        self._waited = 0 if bool(better.any()) else self._waited + 1
        return self._waited >= self.patience
