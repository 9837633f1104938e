"""Any regression on features of cells as a predictor: checks, chunks and bounds, written once.

A predictor of this kind is three functions: one describes cells, one fits, one guesses. `FeaturePredictor`
puts them together, so that none of them repeats what every predictor owes its callers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import SettingError
from pnas_sim.predict.base import Prediction
from pnas_sim.predict.data import check_fit_data
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Rows

Features: TypeAlias = NDArray[Any]  # one row a cell; what is in it is between `describe` and `regress`
Describe: TypeAlias = Callable[[CellSpace, Rows], Features]
Guess: TypeAlias = Callable[[Features], Prediction]
Regress: TypeAlias = Callable[[Features, Floats, int], Guess]

PREDICTED_ROWS = 4_096  # described and guessed at once, so that memory stays small on 301,056 rows


class FeaturePredictor:
    """Fits a regression on features of cells; implements `Predictor`.

    Args:
        space: the cells it is fitted on and asked about.
        describe: `(space, cells) -> features [n, ...]`, the same for every row of a cell.
        regress: `(features, accuracies, seed) -> guess`, where `guess(features)` is a `Prediction`. The cells
            come sorted, so their order does not matter.
        rows: asked about at once, at most.
    """

    def __init__(
        self, space: CellSpace, describe: Describe, regress: Regress, rows: int = PREDICTED_ROWS
    ) -> None:
        self._space, self._describe, self._regress, self._rows = space, describe, regress, rows
        self._guess: Guess | None = None

    def fit(self, cells: Rows, accuracies: Floats, seed: int = 0) -> None:
        """Fits on rows (`uint8[n, width]`) and accuracies (`float64[n]`, in [0, 1]), from scratch.

        Failed children are the caller's to leave out.

        Raises:
            CellError: a row outside the space.
            SettingError: no cell, lengths that differ, an accuracy not finite or outside [0, 1], a seed
                below 0, or a space that this predictor cannot describe.
        """
        if seed < 0:
            raise SettingError(f"the predictor's seed is {seed}: give a whole number of at least 0")
        cells, values = check_fit_data(self._space, cells, accuracies)
        self._guess = self._regress(self._describe(self._space, cells), values, seed)

    def predict(self, cells: Rows) -> Prediction:
        """Predicts rows (`uint8[n, width]`) of any block counts; means are kept within [0, 1].

        Raises:
            CellError: a row outside the space.
            SettingError: it was not fitted yet.
        """
        if self._guess is None:
            raise SettingError("the predictor was not fitted yet: call fit(cells, accuracies) first")
        self._space.validate(cells)
        starts = range(0, max(1, len(cells)), self._rows)  # no rows: one empty chunk, for the shapes
        chunks = (self._describe(self._space, cells[start : start + self._rows]) for start in starts)
        return join_predictions([self._guess(features) for features in chunks])


def join_predictions(parts: list[Prediction]) -> Prediction:
    """Joins the predictions of one predictor on consecutive cells, means and members bounded to [0, 1]."""
    std = [part.std for part in parts if part.std is not None]
    members = [part.members for part in parts if part.members is not None]
    return Prediction(
        mean=np.clip(np.concatenate([part.mean for part in parts]), 0.0, 1.0),
        std=np.concatenate(std) if std else None,
        members=np.clip(np.concatenate(members, axis=1), 0.0, 1.0) if members else None,
    )
