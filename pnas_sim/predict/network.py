"""The network predictors: an MLP or RNN, alone or as the five-fold ensemble of section 5.2."""

from __future__ import annotations

from math import log

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pnas_sim.errors import SettingError
from pnas_sim.predict.base import Prediction
from pnas_sim.predict.data import check_fit_data, list_new_blocks
from pnas_sim.predict.early_stopping import BestWeights
from pnas_sim.predict.mlp import StackedMlp
from pnas_sim.predict.rnn import StackedRnn
from pnas_sim.predict.settings import NetworkSettings
from pnas_sim.predict.stacked import StackedNetwork, Weights, draw_training_sets, draw_weights, fit_weights
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Rows

LARGEST_MEAN = 0.999  # of the accuracies, when their mean sets the last bias: logits of +-6.9
PREDICTED_ROWS = 1_024  # read at once: larger arrays leave the cache and take up to twice as long


class NetworkPredictor:
    """Networks with stacked weights, fitted on cells and their accuracies; implements `ExpansionPredictor`.

    The mean of the members is the prediction; with more than one, their deviation (n - 1 in the
    denominator) is its uncertainty. All randomness comes from the seed given to `fit`; the order of the cells
    does not matter.
    """

    def __init__(self, space: CellSpace, network: StackedNetwork, settings: NetworkSettings) -> None:
        self._space = space
        self._network = network
        self._settings = settings
        self._weights: Weights | None = None

    @property
    def settings(self) -> NetworkSettings:
        """How it is made and fitted."""
        return self._settings

    @property
    def weights(self) -> Weights:
        """The fitted weights, `float32[members, ...]` each, by the names of its network's `shapes`.

        Raises:
            SettingError: it was not fitted yet.
        """
        if self._weights is None:
            raise SettingError("the predictor was not fitted yet: call fit(cells, accuracies) first")
        return self._weights

    def fit(self, cells: Rows, accuracies: Floats, seed: int = 0) -> None:
        """Fits on rows (`uint8[n, width]`) and accuracies (`float64[n]`, in [0, 1]), as its settings say.

        Failed children are the caller's to leave out.

        Raises:
            CellError: a row outside the space.
            SettingError: no cell, lengths that differ, an accuracy not finite or outside [0, 1],
                a seed below 0.
        """
        if seed < 0:
            raise SettingError(f"the predictor's seed is {seed}: give a whole number of at least 0")
        cells, values = check_fit_data(self._space, cells, accuracies)
        settings = self._settings
        again = settings.refit == "finetune" and self._weights is not None
        one_block = bool((self._space.block_counts(cells) == 1).all())
        features, targets = self._network.encode(cells), torch.from_numpy(values).float()
        sets = draw_training_sets(len(cells), settings.members, seed)
        self._weights = fit_weights(
            self._network,
            self.weights if again else self._draw_weights(values, seed),
            features,
            targets,
            sets,
            epochs=settings.finetune_epochs if again else settings.epochs,
            batch_size=settings.batch_size,
            learning_rate=settings.first_learning_rate if one_block else settings.learning_rate,
            seed=seed,
            watcher=self._watch(features, targets, sets) if settings.patience else None,
        )

    def predict(self, cells: Rows) -> Prediction:
        """Predicts rows (`uint8[n, width]`) of any block counts.

        Raises:
            CellError: a row outside the space.
            SettingError: it was not fitted yet.
        """
        weights = self.weights
        self._space.validate(cells)
        members = np.empty((self._settings.members, len(cells)))
        with torch.inference_mode():
            for start in range(0, len(cells), PREDICTED_ROWS):
                chosen = slice(start, start + PREDICTED_ROWS)
                features = self._network.encode(cells[chosen])[None]
                members[:, chosen] = _accuracies(self._network.logits(weights, features))
        return _summarise(members)

    def predict_expansions(self, parents: Rows) -> Prediction:
        """Predicts `space.expand(parents).cells`, row for row, without building them.

        Raises:
            CellError: a row outside the space, parents of several sizes, or too large to be expanded.
            SettingError: it was not fitted yet.
        """
        weights = self.weights
        blocks = list_new_blocks(self._space, parents)
        members = np.empty((self._settings.members, len(parents) * len(blocks)))
        if not len(parents):
            return _summarise(members)
        start = 0
        with torch.inference_mode():
            for logits in self._network.expansion_logits(weights, parents, blocks):
                scored = _accuracies(logits.flatten(1))
                members[:, start : start + scored.shape[1]] = scored
                start += scored.shape[1]
        return _summarise(members)

    def _watch(self, features: Tensor, targets: Tensor, sets: list[NDArray[np.intp]]) -> BestWeights:
        return BestWeights(self._network, features, targets, sets, self._settings.patience)

    def _draw_weights(self, accuracies: Floats, seed: int) -> Weights:
        return draw_weights(self._network.shapes, self._first_bias(accuracies), seed, self._settings.members)

    def _first_bias(self, accuracies: Floats) -> float:
        if self._settings.bias != "mean":
            return self._settings.bias
        mean = min(max(float(accuracies.mean()), 1 - LARGEST_MEAN), LARGEST_MEAN)
        return log(mean / (1 - mean))


def make_mlp(space: CellSpace, settings: NetworkSettings) -> NetworkPredictor:
    """Makes an MLP predictor, or an ensemble of them."""
    return NetworkPredictor(space, StackedMlp(space, settings.embedding, settings.hidden), settings)


def make_rnn(space: CellSpace, settings: NetworkSettings) -> NetworkPredictor:
    """Makes an RNN predictor, or an ensemble of them."""
    return NetworkPredictor(space, StackedRnn(space, settings.embedding, settings.hidden), settings)


def _accuracies(logits: Tensor) -> Floats:
    return torch.sigmoid(logits).double().numpy()


def _summarise(members: Floats) -> Prediction:
    """Returns the members' mean and, where there are several, the members and their deviation."""
    if len(members) == 1:
        return Prediction(mean=members[0])
    return Prediction(mean=members.mean(axis=0), std=members.std(axis=0, ddof=1), members=members)
