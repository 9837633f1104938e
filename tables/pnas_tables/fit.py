"""Fits a table's surrogate and measures it on cells it has not seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import SettingError, TableError
from pnas_sim.evaluate import Status
from pnas_tables.costs import describe_cells, find_cost_rule
from pnas_tables.features import FEATURE_VERSION
from pnas_tables.figures import mean_by_cell, seed_deviation
from pnas_tables.forest import fit_forest, join_forests
from pnas_tables.quality import measure_quality
from pnas_tables.record import StoredSurrogate, Table, data_checksum
from pnas_tables.scale import NormalScores

Floats: TypeAlias = NDArray[np.float64]

KIND = "lightgbm-bagged-normal-scores-1"
FINAL = "final"  # the group of forests for the last checkpoint
SECONDS = "seconds"
FEWEST_CELLS = 20
FOLDS = 5


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How large and how careful the forests are.

    Attributes:
        forests: fitted for the last checkpoint, each on another bootstrap of the cells.
        trees: of each forest.
        leaves: of each tree, at most.
        rate: by which each tree's answer is shrunk.
        least_cells: in a leaf.
        columns: share of the features that a tree sees.
        ridge: L2 penalty on leaf values.
        small_trees: of the forests for earlier checkpoints and seconds.
        small_forests: of each earlier checkpoint.
    """

    forests: int = 10
    trees: int = 120
    leaves: int = 6
    rate: float = 0.06
    least_cells: int = 5
    columns: float = 0.3
    ridge: float = 1.0
    small_trees: int = 60
    small_forests: int = 2

    def for_lightgbm(self, small: bool = False) -> dict[str, Any]:
        """These settings by LightGBM's names."""
        return {
            "num_iterations": self.small_trees if small else self.trees,
            "num_leaves": 4 if small else self.leaves,
            "learning_rate": self.rate,
            "min_data_in_leaf": self.least_cells,
            "feature_fraction": self.columns,
            "lambda_l2": self.ridge,
        }


@dataclass(frozen=True, slots=True)
class _Data:
    """Trained cells as a surrogate is fitted on them: n cells that did not fail, c checkpoints."""

    features: Floats  # [n, f]
    accuracies: Floats  # [n, c], means over seeds; the last column is the validation accuracy
    seconds: Floats  # [n], means over seeds, NaN if unknown
    runs: Floats  # [n], seeds that did not fail
    blocks: NDArray[np.int64]  # [n]

    def take(self, places: NDArray[Any]) -> _Data:
        return _Data(
            self.features[places],
            self.accuracies[places],
            self.seconds[places],
            self.runs[places],
            self.blocks[places],
        )


def fit_model(table: Table, seed: int, settings: FitSettings) -> StoredSurrogate:
    """Fits all forests, and measures the one that matters by five-fold cross-validation over cells.

    Raises:
        SettingError: the seed is negative.
        TableError: too few cells, or too few of them with a curve.
    """
    if seed < 0:
        raise SettingError(f"seed is {seed}; it must be at least 0")
    data, has_costs = _gather(table)
    texts: list[str] = []
    trees: dict[str, list[int]] = {}
    scales = [NormalScores.fit(known) for known in _known_columns(data.accuracies)]
    for group, text, count in _fit_groups(data, scales, seed, settings):
        texts.append(text)
        trees.setdefault(group, []).append(count)
    noise, repeated = _measure_noise(table)
    metadata = {
        "kind": KIND,
        "fitted_on": data_checksum(table),
        "features": FEATURE_VERSION,
        "costs": has_costs,
        "seed": seed,
        "settings": asdict(settings),
        "lightgbm": version("lightgbm"),
        "cells": len(data.runs),
        "largest_blocks": int(data.blocks.max()),
        "trees": trees,
        "scales": [scale.as_json() for scale in scales],
        "test_gap": _test_gap(table),
        "noise": noise,
        "noise_degrees_of_freedom": repeated,
        "runs_by_status": {status.name.lower(): int((table.status == status).sum()) for status in Status},
        "failures_modelled": False,
        "quality": _cross_validate(data, seed, settings, noise[f"valid {len(table.epochs) - 1}"]),
    }
    return StoredSurrogate(join_forests(texts), metadata)


def _gather(table: Table) -> tuple[_Data, bool]:
    rule = find_cost_rule(table.recipe)
    features, _, _ = describe_cells(table.space, rule, table.cells)
    accuracies = mean_by_cell(table, table.curves)
    accuracies[:, -1] = mean_by_cell(table, table.valid_accuracy)
    runs = np.bincount(table.run_cells[table.status != Status.FAILED], minlength=len(table)).astype(
        np.float64
    )
    seconds = mean_by_cell(table, table.seconds)
    data = _Data(features, accuracies, seconds, runs, table.space.block_counts(table.cells)).take(runs > 0)
    known = (~np.isnan(data.accuracies)).sum(axis=0)
    for epochs, count in zip(table.epochs, known, strict=True):
        if count < FEWEST_CELLS:
            raise TableError(
                f"table {table.name} has {count} cells with an accuracy at {epochs:g} epochs; a "
                f"surrogate needs at least {FEWEST_CELLS}"
            )
    return data, rule is not None


def _known_columns(accuracies: Floats) -> Iterator[Floats]:
    for column in accuracies.T:
        yield column[~np.isnan(column)]


def _fit_groups(
    data: _Data, scales: list[NormalScores], seed: int, settings: FitSettings
) -> Iterator[tuple[str, str, int]]:
    """(group, model text, trees) of each forest, groups in one stretch each."""
    last = len(scales) - 1
    final = scales[last].to_scores(data.accuracies[:, last])
    for text, count in _fit_forests(data, final, seed, settings):
        yield FINAL, text, count
    for place in range(last):
        gap = scales[place].to_scores(data.accuracies[:, place]) - final
        for text, count in _fit_forests(data, gap, seed + 1000 * (place + 1), settings, small=True):
            yield f"gap {place}", text, count
    if (data.seconds > 0).sum() >= FEWEST_CELLS:
        seconds = np.where(data.seconds > 0, data.seconds, np.nan)
        text, count = next(_fit_forests(data, np.log(seconds), seed, settings, small=True))
        yield SECONDS, text, count


def _fit_forests(
    data: _Data, targets: Floats, seed: int, settings: FitSettings, small: bool = False
) -> Iterator[tuple[str, int]]:
    """Forests on bootstraps of the cells whose target is known; a cell counts as often as it has seeds."""
    known = np.flatnonzero(~np.isnan(targets))
    for number in range(settings.small_forests if small else settings.forests):
        rng = np.random.default_rng(np.random.SeedSequence([seed, number]))
        drawn = np.bincount(rng.integers(0, len(known), len(known)), minlength=len(known))
        chosen = known[drawn > 0]
        weights = data.runs[chosen] * drawn[drawn > 0]
        yield fit_forest(
            data.features[chosen],
            targets[chosen],
            weights,
            settings.for_lightgbm(small),
            int(rng.integers(0, 2**31 - 1)),
        )


def _cross_validate(data: _Data, seed: int, settings: FitSettings, noise: float) -> dict[str, Any]:
    """Held-out figures of the last checkpoint: each cell is predicted by forests that did not see it."""
    accuracies = data.accuracies[:, -1]
    predicted = predict_held_out(data, seed, settings)
    quality = measure_quality(predicted, accuracies, noise / np.sqrt(data.runs), data.blocks)
    return {"folds": FOLDS, "by": "cell", "of": "validation accuracy, mean over seeds", **quality}


def predict_held_out(data: _Data, seed: int, settings: FitSettings) -> Floats:
    """Each cell's accuracy as predicted by forests fitted on the other folds, `float64[n]`."""
    from pnas_tables.forest import Forests

    rng = np.random.default_rng(np.random.SeedSequence([seed, 99]))
    fold = rng.permutation(len(data.runs)) % FOLDS
    predicted = np.empty(len(data.runs))
    for number in range(FOLDS):
        seen = data.take(fold != number)
        scale = NormalScores.fit(seen.accuracies[:, -1])
        fitted = list(_fit_forests(seen, scale.to_scores(seen.accuracies[:, -1]), seed, settings))
        forests = Forests(join_forests([text for text, _ in fitted]), {FINAL: [count for _, count in fitted]})
        scores = forests.predict(FINAL, data.features[fold == number])
        predicted[fold == number] = scale.to_accuracies(scores)
    return predicted


def _measure_noise(table: Table) -> tuple[dict[str, float], int]:
    """Deviations between training seeds at each checkpoint and on the test images, and their correlation.

    Zero where no cell has two seeds: nothing was measured, so nothing is added.
    """
    values = np.column_stack([table.curves[:, :-1], table.valid_accuracy])
    noise = {}
    for place, column in enumerate(values.T):
        noise[f"valid {place}"] = _or_zero(float(seed_deviation(table, column)[0]))
    noise["test"] = _or_zero(float(seed_deviation(table, table.test_accuracy)[0]))
    both, _ = seed_deviation(table, np.column_stack([table.valid_accuracy + table.test_accuracy]))
    product = noise[f"valid {values.shape[1] - 1}"] * noise["test"]
    shared = float(both[0]) ** 2 - noise[f"valid {values.shape[1] - 1}"] ** 2 - noise["test"] ** 2
    noise["correlation"] = float(np.clip(_or_zero(shared / (2 * product)), 0.0, 0.99)) if product else 0.0
    return noise, seed_deviation(table, table.valid_accuracy)[1]


def _or_zero(value: float) -> float:
    return 0.0 if np.isnan(value) else value


def _test_gap(table: Table) -> float | None:
    """Mean of test minus validation accuracy; None where no test accuracy is known."""
    gap = table.test_accuracy - table.valid_accuracy
    return None if np.isnan(gap).all() else float(np.nanmean(gap))
