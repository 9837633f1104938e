"""The surrogate of a table: answers every cell up to the table's largest size.

Several boosted forests (LightGBM), each fitted on another bootstrap of the trained cells, predict the normal
score of a cell's accuracy from structural features; their mean is mapped back. It is never one of the
search's own predictors, which it would favour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import TableError
from pnas_sim.noise import Keys, cell_keys, standard_noise
from pnas_sim.space import CellSpace
from pnas_tables.costs import CostRule, describe_cells, find_cost_rule
from pnas_tables.features import FEATURE_VERSION, feature_names
from pnas_tables.fit import FINAL, KIND, SECONDS, FitSettings, fit_model
from pnas_tables.forest import Forests
from pnas_tables.record import StoredSurrogate, Table
from pnas_tables.scale import NormalScores

__all__ = ["Answer", "FitSettings", "Surrogate", "fit_surrogate"]

Rows: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]


def fit_surrogate(
    table: Table, name: str = "lightgbm", seed: int = 0, settings: FitSettings | None = None
) -> Table:
    """The table with a freshly fitted surrogate of this name; other surrogates stay.

    Same table, seed, settings, machine and LightGBM: the same model, whatever the process.

    Raises:
        TableError: the table has too few cells to fit anything on.
    """
    stored = fit_model(table, seed, settings or FitSettings())
    return replace(table, surrogates={**table.surrogates, name: stored})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a surrogate says of n cells, free of seed noise.

    Attributes:
        valid_accuracy: `float64[n]`, at the checkpoint asked for.
        test_accuracy: `float64[n]`, NaN where the table has none: the validation accuracy of the last
            checkpoint plus the mean difference found between the two.
        seconds: `float64[n]`, of the whole training, 0 where the table has none.
        parameters: `int64[n]`, counted, not predicted; -1 where the recipe does not say what network it is.
        multiply_adds: `int64[n]`, likewise.
    """

    valid_accuracy: Floats
    test_accuracy: Floats
    seconds: Floats
    parameters: Integers
    multiply_adds: Integers


class Surrogate:
    """A fitted surrogate, ready to answer. It holds no state: the same question has the same answer."""

    def __init__(
        self, stored: StoredSurrogate, space: CellSpace, recipe: Mapping[str, Any], epochs: Floats
    ) -> None:
        """Reads the stored model.

        Args:
            stored: as `fit_surrogate` made it.
            space: the table's; rows of any width over its operations are answered.
            recipe: the table's.
            epochs: `float64[c]`, the table's checkpoints.

        Raises:
            TableError: it is of another kind or version than this code reads.
        """
        about = stored.metadata
        try:
            _demand(about["kind"] == KIND, f"is of kind {about['kind']!r}; this version reads {KIND!r}")
            _demand(about["features"] == FEATURE_VERSION, "was fitted on other features; fit it again")
            kinds = [*(f"valid {place}" for place in range(len(epochs))), "test", "correlation"]
            self.noise = {kind: float(about["noise"][kind]) for kind in kinds}
            self.largest = int(about["largest_blocks"])
            self._scales = [NormalScores.from_json(knots) for knots in about["scales"]]
            self._test_gap = about["test_gap"]
            self._forests = Forests(stored.model, about["trees"])
            self._costs: CostRule | None = find_cost_rule(recipe) if about["costs"] else None
            _demand(
                not about["costs"] or self._costs, "needs the costs of networks that the recipe does not tell"
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            if isinstance(error, TableError):
                raise
            raise TableError(f"the surrogate's metadata is incomplete ({error}); fit it again") from None
        _demand(len(self._scales) == len(epochs), "has another number of checkpoints than the table")
        wanted = len(feature_names(space.operations)) + (2 if self._costs else 0)
        _demand(self._forests.width == wanted, f"wants {self._forests.width} features, there are {wanted}")
        self.metadata = about
        self.epochs = epochs
        self._space = space

    @classmethod
    def from_table(cls, table: Table, name: str = "lightgbm") -> Surrogate:
        """The table's surrogate of this name.

        Raises:
            TableError: the table has none of this name, or this version does not read it.
        """
        if name not in table.surrogates:
            known = ", ".join(sorted(table.surrogates)) or "none; `pnas-sim table fit` makes one"
            raise TableError(f"surrogate {name!r} is not in table {table.name}; it has: {known}")
        return cls(table.surrogates[name], table.space, table.recipe, table.epochs)

    def predict(self, cells: Rows, checkpoint: int = -1) -> Answer:
        """Answers for rows of any width, of the table's operations, of any size.

        Args:
            cells: `uint8[n, width]`, canonical or not: their features are the same.
            checkpoint: which of `epochs`.
        """
        features, parameters, multiply_adds = describe_cells(self._space, self._costs, cells)
        final = self._forests.predict(FINAL, features)
        valid = self._accuracies(features, final, checkpoint)
        last = valid if checkpoint in (-1, len(self.epochs) - 1) else self._accuracies(features, final, -1)
        gap = np.nan if self._test_gap is None else float(self._test_gap)
        seconds = np.zeros(len(cells))
        if SECONDS in self._forests.groups:
            seconds = np.exp(self._forests.predict(SECONDS, features))
        return Answer(valid, np.clip(last + gap, 0, 1), seconds, parameters, multiply_adds)

    def predict_curves(self, cells: Rows) -> Floats:
        """Validation accuracy at every checkpoint, `float64[n, c]`, free of seed noise."""
        features, _, _ = describe_cells(self._space, self._costs, cells)
        final = self._forests.predict(FINAL, features)
        return np.stack([self._accuracies(features, final, c) for c in range(len(self.epochs))], axis=1)

    def draw_noise(self, keys: Keys, checkpoint: int, seed: int) -> tuple[Floats, Floats]:
        """Seed noise of validation and test accuracy, `float64[n]` each, correlated as measured."""
        epochs = float(self.epochs[checkpoint])
        valid = standard_noise(keys, epochs, seed, "valid")
        test = standard_noise(keys, epochs, seed, "test")
        shared = self.noise["correlation"]
        test = shared * valid + np.sqrt(1 - shared**2) * test
        return self.noise[f"valid {checkpoint % len(self.epochs)}"] * valid, self.noise["test"] * test

    def keys(self, cells: Rows) -> Keys:
        """What seed noise belongs to: one key for each canonical row."""
        return cell_keys(self._space.operations, cells)

    def _accuracies(self, features: Floats, final: Floats, checkpoint: int) -> Floats:
        place = checkpoint % len(self.epochs)
        scores = final
        if place < len(self.epochs) - 1:
            scores = final + self._forests.predict(f"gap {place}", features)
        return self._scales[place].to_accuracies(scores)


def _demand(fulfilled: object, complaint: str) -> None:
    if not fulfilled:
        raise TableError(f"the surrogate {complaint}")
