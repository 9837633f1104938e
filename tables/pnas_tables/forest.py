"""The first family of surrogates: bagged gradient-boosted forests, fitted by LightGBM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import SettingError
from pnas_sim.space.arrays import Floats, Integers, Rows
from pnas_tables.sample import Sample
from pnas_tables.trees import MOST_LEAVES, Trees, parse_trees


@dataclass(frozen=True, slots=True)
class ForestSettings:
    """How large and how careful the forests are.

    Attributes:
        forests: of each world, each on another bootstrap of the world's cells.
        trees: of each forest.
        leaves: of each tree, from 2 to 8.
        rate: by which each tree's answer is shrunk.
        least_cells: in a leaf.
        columns: share of the features that a tree sees.
        ridge: L2 penalty on leaf values.
    """

    forests: int = 5
    trees: int = 80
    leaves: int = 6
    rate: float = 0.08
    least_cells: int = 5
    columns: float = 0.3
    ridge: float = 1.0

    def for_lightgbm(self) -> dict[str, Any]:
        """These settings by LightGBM's names.

        Raises:
            SettingError: one is out of its range.
        """
        if not 2 <= self.leaves <= MOST_LEAVES:
            raise SettingError(f"leaves is {self.leaves}; it must be from 2 to {MOST_LEAVES}")
        if self.forests < 1 or self.trees < 1:
            raise SettingError(
                f"{self.forests} forests of {self.trees} trees; there must be at least 1 of each"
            )
        return {
            "num_iterations": self.trees,
            "num_leaves": self.leaves,
            "learning_rate": self.rate,
            "min_data_in_leaf": self.least_cells,
            "feature_fraction": self.columns,
            "lambda_l2": self.ridge,
        }


def fit_forests(
    sample: Sample, targets: Floats, draws: Integers, settings: ForestSettings, seed: int
) -> list[dict[str, NDArray[Any]]]:
    """The arrays of each world.

    Args:
        sample: n cells.
        targets: `float64[n]`, their scores.
        draws: `int64[w, n]`, how often each world's sample holds each cell.
        settings: of the forests.
        seed: of bootstraps and columns.
    """
    options = settings.for_lightgbm()
    worlds = []
    for world, drawn in enumerate(draws):
        rng = np.random.default_rng(np.random.SeedSequence([seed, world]))
        pool = np.repeat(np.arange(len(sample)), drawn)
        texts = []
        for _ in range(settings.forests):
            counts = np.bincount(pool[rng.integers(0, len(pool), len(pool))], minlength=len(sample))
            chosen = counts > 0
            weights = (sample.weights * counts)[chosen]
            own = int(rng.integers(0, 2**31 - 1))
            texts.append(train_forest(sample.features[chosen], targets[chosen], weights, options, own))
        worlds.append(parse_trees(texts, sample.features.shape[1]).as_arrays(f"world-{world}"))
    return worlds


def train_forest(
    features: Floats, targets: Floats, weights: Floats, options: Mapping[str, Any], seed: int
) -> str:
    """LightGBM's text of one boosted forest.

    Args:
        features: `float64[n, f]`, without NaN.
        targets: `float64[n]`.
        weights: `float64[n]`, above 0.
        options: LightGBM's parameters, `num_iterations` among them.
        seed: of the columns each tree sees.
    """
    import lightgbm

    fixed = {
        "objective": "regression",
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbosity": -1,
        "feature_pre_filter": False,
        "use_missing": False,
        "seed": seed,
    }
    data = lightgbm.Dataset(features, targets, weight=weights, params={"verbosity": -1, "num_threads": 1})
    return str(lightgbm.train({**fixed, **options}, data).model_to_string())


class ForestModel:
    """One world's forests, ready to answer."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], world: int, forests: int) -> None:
        """Reads the trees of the world.

        Raises:
            TableError: they are damaged.
        """
        self._trees = Trees.read(arrays, f"world-{world}")
        self._forests = forests
        self.width = self._trees.width

    def predict(self, cells: Rows, features: Floats) -> Floats:
        """Mean score over the forests, `float64[n]`, for features `float64[n, f]`; `cells` are not read."""
        return self._trees.total(features) / self._forests
