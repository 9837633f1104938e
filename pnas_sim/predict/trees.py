"""Gradient-boosted trees and random forests (scikit-learn) on structural features, in ensembles of folds.

Like the paper's ensembles (section 5.2) they are several models, each fitted without one fold: their mean
predicts, their deviation is the uncertainty, and Thompson sampling can draw one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from pnas_sim.predict.base import Prediction
from pnas_sim.predict.data import choose_training_sets
from pnas_sim.predict.features import describe_shape
from pnas_sim.predict.regression import FeaturePredictor, Guess
from pnas_sim.predict.settings import demand_count, demand_share
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats

Model: TypeAlias = Any  # a scikit-learn regressor
MakeModel: TypeAlias = Callable[[int, int], Model]  # of a seed and the number of cells

ASKED_ROWS = 32_768  # at once: asking every tree anew costs more than the memory, 11 MB of features

_FOLDS, _MODELS = 1, 2  # random streams of a fit's seed


@dataclass(frozen=True, slots=True, kw_only=True)
class BoostingSettings:
    """Settings of the gradient-boosted trees.

    Attributes:
        members: models in the ensemble, each fitted without one of as many folds; 1 is one fitted on all.
        trees: of each member.
        depth: of each tree.
        learning_rate: weight of each tree, above 0 and at most 1.
        share: of the cells that each tree sees, above 0 and at most 1.
    """

    members: int = 5
    trees: int = 150
    depth: int = 3
    learning_rate: float = 0.06
    share: float = 0.7

    def __post_init__(self) -> None:
        """Refuses values out of range.

        Raises:
            SettingError: one line naming the setting, its value and its limit.
        """
        for name in ("members", "trees", "depth"):
            demand_count(name, getattr(self, name))
        for name in ("learning_rate", "share"):
            demand_share(name, getattr(self, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestSettings:
    """Settings of the random forest.

    Attributes:
        members: forests in the ensemble, each fitted without one of as many folds; 1 is one fitted on all.
        trees: of each member.
        smallest_leaf: cells in it, at least 1.
        share: of the features that each split considers, above 0 and at most 1.
    """

    members: int = 5
    trees: int = 60
    smallest_leaf: int = 1
    share: float = 0.33

    def __post_init__(self) -> None:
        """Refuses values out of range.

        Raises:
            SettingError: one line naming the setting, its value and its limit.
        """
        for name in ("members", "trees", "smallest_leaf"):
            demand_count(name, getattr(self, name))
        demand_share("share", self.share)


def make_gbt(space: CellSpace, settings: BoostingSettings) -> FeaturePredictor:
    """Makes an ensemble of gradient-boosted trees."""

    def make(seed: int, cells: int) -> Model:
        from sklearn.ensemble import GradientBoostingRegressor

        return GradientBoostingRegressor(
            n_estimators=settings.trees,
            max_depth=settings.depth,
            learning_rate=settings.learning_rate,
            subsample=settings.share if cells > 1 else 1.0,  # one cell leaves none out of the bag
            random_state=seed,
        )

    return FeaturePredictor(space, describe_shape, partial(fit_folds, make, settings.members), ASKED_ROWS)


def make_forest(space: CellSpace, settings: ForestSettings) -> FeaturePredictor:
    """Makes an ensemble of random forests."""

    def make(seed: int, cells: int) -> Model:
        from sklearn.ensemble import RandomForestRegressor

        del cells
        return RandomForestRegressor(
            n_estimators=settings.trees,
            min_samples_leaf=settings.smallest_leaf,
            max_features=settings.share,
            random_state=seed,
        )

    return FeaturePredictor(space, describe_shape, partial(fit_folds, make, settings.members), ASKED_ROWS)


def fit_folds(make: MakeModel, members: int, features: Floats, accuracies: Floats, seed: int) -> Guess:
    """Fits each member on all cells but those of its fold.

    Args:
        make: a fresh model of a seed and the number of cells it will be fitted on.
        members: how many; one alone is fitted on everything.
        features: `float64[n, f]`.
        accuracies: `float64[n]`.
        seed: of the folds and of the models.
    """
    seeds = np.random.SeedSequence([seed, _MODELS]).generate_state(members)
    sets = choose_training_sets(len(features), members, np.random.default_rng([seed, _FOLDS]))
    fitted = [
        make(int(own), len(chosen)).fit(features[chosen], accuracies[chosen])
        for own, chosen in zip(seeds, sets, strict=True)
    ]
    return lambda asked: _ask_all(fitted, asked)


def _ask_all(fitted: list[Model], asked: Floats) -> Prediction:
    if not len(asked):  # scikit-learn refuses to predict nothing
        members = np.zeros((len(fitted), 0))
    else:
        members = np.stack([np.asarray(model.predict(asked), np.float64) for model in fitted])
    if len(members) == 1:
        return Prediction(mean=members[0])
    return Prediction(mean=members.mean(axis=0), std=members.std(axis=0, ddof=1), members=members)
