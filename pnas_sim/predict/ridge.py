"""The sanity floor: ridge regression on how often a cell uses each operation, blind to its wiring."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pnas_sim.errors import SettingError
from pnas_sim.predict.base import Prediction
from pnas_sim.predict.data import block_tokens, check_fit_data, list_new_blocks
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Rows

OPERATION_PLACES = slice(2, 4)  # O1 and O2 among a block's tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class RidgeSettings:
    """Settings of the ridge predictor.

    Attributes:
        alpha: weight of the squared coefficients, above 0.
    """

    alpha: float = 0.1

    def __post_init__(self) -> None:
        """Refuses an alpha out of range.

        Raises:
            SettingError: alpha is not a finite number above 0.
        """
        number = isinstance(self.alpha, int | float) and not isinstance(self.alpha, bool)
        if not (number and math.isfinite(self.alpha) and self.alpha > 0):
            raise SettingError(f"alpha is {self.alpha!r}: give a finite number above 0")


class RidgePredictor:
    """Linear in each operation's share of a cell's 2b operations; implements `ExpansionPredictor`.

    Shares, not counts, so that a model fitted on small cells has something to say about larger ones; they are
    the same for every order of blocks and for any wiring. Predictions are kept within [0, 1].
    """

    def __init__(self, space: CellSpace, settings: RidgeSettings) -> None:
        self._space = space
        self._settings = settings
        self._coefficients: Floats | None = None
        self._intercept = 0.0

    def fit(self, cells: Rows, accuracies: Floats, seed: int = 0) -> None:
        """Fits on rows (`uint8[n, width]`) and accuracies (`float64[n]`, in [0, 1]); no seed is needed.

        Failed children are the caller's to leave out.

        Raises:
            CellError: a row outside the space.
            SettingError: no cell, lengths that differ, an accuracy not finite or not in [0, 1].
        """
        from sklearn.linear_model import Ridge

        cells, values = check_fit_data(self._space, cells, accuracies)
        model = Ridge(alpha=self._settings.alpha).fit(self._count_operations(cells), values)
        self._coefficients, self._intercept = np.asarray(model.coef_, np.float64), float(model.intercept_)

    def predict(self, cells: Rows) -> Prediction:
        """Predicts rows (`uint8[n, width]`) of any block counts.

        Raises:
            CellError: a row outside the space.
            SettingError: it was not fitted yet.
        """
        coefficients = self._fitted_coefficients()
        self._space.validate(cells)
        return self._bound(self._count_operations(cells) @ coefficients)

    def predict_expansions(self, parents: Rows) -> Prediction:
        """Predicts `space.expand(parents).cells`, row for row, without building them.

        Raises:
            CellError: a row outside the space, parents of several sizes, or too large to be expanded.
            SettingError: it was not fitted yet.
        """
        coefficients = self._fitted_coefficients()
        blocks = list_new_blocks(self._space, parents)
        size = self._space.block_counts(parents)[:, None]
        of_parents = self._count_operations(parents) @ coefficients
        of_blocks = coefficients[blocks[:, OPERATION_PLACES]].mean(axis=1)
        return self._bound(((size * of_parents[:, None] + of_blocks) / (size + 1)).ravel())

    def _count_operations(self, cells: Rows) -> Floats:
        """Returns each operation's share of the cell's 2b operations, `float64[n, operations]`."""
        tokens, present = block_tokens(self._space, cells)
        kinds = np.arange(len(self._space.operations))
        used = (tokens[:, :, OPERATION_PLACES, None] == kinds) & present[:, :, None, None]
        shares: Floats = used.sum(axis=(1, 2)) / (2 * present.sum(axis=1, keepdims=True))
        return shares

    def _bound(self, values: Floats) -> Prediction:
        return Prediction(mean=np.clip(values + self._intercept, 0.0, 1.0))

    def _fitted_coefficients(self) -> Floats:
        if self._coefficients is None:
            raise SettingError("the predictor was not fitted yet: call fit(cells, accuracies) first")
        return self._coefficients
