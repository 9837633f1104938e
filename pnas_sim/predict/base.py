"""What a predictor is: fitted on cells of some sizes, asked about cells of any size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from pnas_sim.space.arrays import Floats, Rows


@dataclass(frozen=True, slots=True)
class Prediction:
    """Predicted accuracies of n cells.

    Attributes:
        mean: `float64[n]`, in [0, 1].
        std: `float64[n]`, the predictor's own uncertainty, where it has one.
        members: `float64[m, n]`, each ensemble member's prediction, where there are members.
    """

    mean: Floats
    std: Floats | None = None
    members: Floats | None = None


@runtime_checkable
class Predictor(Protocol):
    """Guesses accuracy from token rows.

    Searches call `fit(cells, accuracies, seed)`, by position: a `fit` of two arguments alone is refused.
    """

    def fit(self, cells: Rows, accuracies: Floats, seed: int = 0) -> None:
        """Fits on canonical rows (`uint8[n, width]`) and their accuracies (`float64[n]`, in [0, 1]).

        Called again, it fits again: from scratch or from where it stands, as the predictor was made. Same
        data and same seed (and same previous fits) give the same predictor in any process. One cell or two
        will do, and both arrays are left as they are.

        Args:
            cells: those that did not fail; sizes may be mixed.
            accuracies: of the validation images.
            seed: of whatever the fit draws, at least 0; another one for each fit of a search.

        Raises:
            RequestError: no cells, another number of accuracies, an accuracy outside [0, 1] or NaN, or rows
                that are no cells of the predictor's space, larger ones among them.
        """
        ...

    def predict(self, cells: Rows) -> Prediction:
        """Predicted accuracies of rows of any block count, also ones larger than any it was fitted on.

        The rows need not be canonical and are left as they are; no rows have no predictions. What is said of
        a cell does not hang on the others that are asked about with it.

        Raises:
            RequestError: it was not fitted yet, or rows are no cells of its space.
        """
        ...


@runtime_checkable
class ExpansionPredictor(Protocol):
    """A predictor that scores a parent's expansions without building every row."""

    def fit(self, cells: Rows, accuracies: Floats, seed: int = 0) -> None:
        """As `Predictor.fit`."""
        ...

    def predict(self, cells: Rows) -> Prediction:
        """As `Predictor.predict`."""
        ...

    def predict_expansions(self, parents: Rows) -> Prediction:
        """The same as `predict(space.expand(parents).cells)`, row for row, only faster."""
        ...
