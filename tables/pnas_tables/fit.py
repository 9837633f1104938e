"""Fits a table's surrogate and measures it on cells it has not seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import SettingError, TableError
from pnas_sim.evaluate import Status
from pnas_sim.space.arrays import Floats, Integers
from pnas_tables.costs import find_cost_rule
from pnas_tables.effects import Effects
from pnas_tables.extras import FEWEST_CELLS, fit_extras
from pnas_tables.families import Family, FitSettings, find_family
from pnas_tables.features import FEATURE_VERSION
from pnas_tables.quality import measure_figures, measure_quality
from pnas_tables.record import StoredSurrogate, Table, data_checksum
from pnas_tables.sample import GROUPS, RANDOM, SUBSPACE, Sample, gather_sample
from pnas_tables.scale import fit_scale
from pnas_tables.seeds import SeedNoise

__all__ = ["FitSettings", "fit_model", "measure_surrogate"]


FOLDS = 5


@dataclass(frozen=True, slots=True)
class FitTask:
    """What is fitted, and how.

    Attributes:
        sample: the cells that may be fitted.
        family: of the model.
        settings: of the fit.
        seed: of all that is drawn.
        chance: the accuracy of guessing.
    """

    sample: Sample
    family: Family
    settings: FitSettings
    seed: int
    chance: float


def fit_model(
    table: Table, family: str, seed: int, settings: FitSettings, tuning: Mapping[str, Any] | None = None
) -> StoredSurrogate:
    """Fits all worlds, and measures the first by five-fold cross-validation over cells.

    Sealed cells are left out of everything that is fitted, seed noise apart.

    Args:
        table: with trained cells.
        family: of the model.
        seed: of all that is drawn.
        settings: of the fit.
        tuning: how the settings were chosen, to be stored; JSON values.

    Raises:
        SettingError: the seed is negative, or a setting out of range.
        TableError: too few cells, or too few of them with a curve.
    """
    whole, task = prepare_fit(table, family, seed, settings)
    sample = task.sample
    _demand_cells(table, sample)
    columns = [column[~np.isnan(column)] for column in sample.accuracies.T]
    scales = [fit_scale(settings.scale, column, table.chance) for column in columns]
    scores = scales[-1].to_scores(sample.final)
    worlds = task.family.fit(sample, scores, _draw_worlds(len(sample), task), settings, seed)
    arrays = {name: values for world in worlds for name, values in world.items()}
    extra_arrays, extras = fit_extras(table, sample, scales).as_arrays()
    noise = SeedNoise.measure(table)
    held = predict_held_out(task)
    deviations, shape = Effects.measure(sample, held, scales[-1], noise.valid[-1]).as_json()
    metadata = {
        "kind": task.family.kind,
        "fitted_on": data_checksum(table),
        "features": FEATURE_VERSION,
        "costs": find_cost_rule(table.recipe) is not None,
        "seed": seed,
        "settings": settings.as_json(),
        "tuning": None if tuning is None else dict(tuning),
        "versions": {name: version(name) for name in ("lightgbm", "numpy", "scipy")},
        "cells": len(sample),
        "largest_blocks": int(sample.blocks.max()),
        "scales": [scale.as_json() for scale in scales],
        "extras": extras,
        "noise": noise.as_json(),
        "effects": deviations,
        "effect_shape": shape,
        "runs_by_status": {status.name.lower(): int((table.status == status).sum()) for status in Status},
        "quality": _measure(whole, task, held, noise),
    }
    return StoredSurrogate(metadata, arrays | extra_arrays)


def measure_surrogate(table: Table, family: str, seed: int, settings: FitSettings) -> dict[str, Any]:
    """The held-out figures that `fit_model` stores, found again."""
    whole, task = prepare_fit(table, family, seed, settings)
    return _measure(whole, task, predict_held_out(task), SeedNoise.measure(table))


def prepare_fit(table: Table, family: str, seed: int, settings: FitSettings) -> tuple[Sample, FitTask]:
    """All cells with an accuracy, and the task of fitting on those that `choose_fitted` chooses.

    Raises:
        SettingError: the seed is negative, or there is no such family.
    """
    if seed < 0:
        raise SettingError(f"seed is {seed}; it must be at least 0")
    if settings.worlds < 1:
        raise SettingError(f"worlds is {settings.worlds}; it must be at least 1")
    whole = gather_sample(table)
    sample = whole.take(choose_fitted(whole, seed))
    return whole, FitTask(sample, find_family(family), settings, seed, table.chance)


def choose_fitted(whole: Sample, seed: int) -> NDArray[np.bool_]:
    """Which cells a surrogate is fitted on, `bool[n]`: all that are not sealed, but few of a smaller space.

    Of each size no more of those than of all others (or `FEWEST_CELLS`, if those are fewer). A complete small
    space would otherwise decide on what scale accuracies are seen, and how far cells stray from the model.

    Args:
        whole: n cells.
        seed: of the choice among those of a smaller space.
    """
    fitted = ~whole.sealed
    small = fitted & whole.of_group(SUBSPACE)
    rng = np.random.default_rng(np.random.SeedSequence([seed, 11]))
    for size in np.unique(whole.blocks[small]):
        mine = small & (whole.blocks == size)
        others = int((fitted & ~mine & (whole.blocks == size)).sum())
        surplus = int(mine.sum()) - max(others, FEWEST_CELLS)
        if surplus > 0:
            fitted[rng.choice(np.flatnonzero(mine), surplus, replace=False)] = False
    return fitted


def _demand_cells(table: Table, sample: Sample) -> None:
    known = (~np.isnan(sample.accuracies)).sum(axis=0)
    for epochs, count in zip(table.epochs, known, strict=True):
        if count < FEWEST_CELLS:
            raise TableError(
                f"table {table.name} has {count} cells with an accuracy at {epochs:g} epochs; a "
                f"surrogate needs at least {FEWEST_CELLS}"
            )


def _draw_worlds(cells: int, task: FitTask) -> Integers:
    """How often each world holds each cell, `int64[worlds, cells]`: the first once, others by bootstrap."""
    draws = [np.ones(cells, np.int64)]
    for world in range(1, task.settings.worlds):
        rng = np.random.default_rng(np.random.SeedSequence([task.seed, 7, world]))
        draws.append(np.bincount(rng.integers(0, cells, cells), minlength=cells))
    return np.array(draws)


# -------------------------------------------------------------------------------------------- cells held out


def predict_held_out(task: FitTask, share: float = 1.0) -> Floats:
    """Each cell's accuracy as predicted by models fitted on (a share of) the other folds, `float64[n]`."""
    sample = task.sample
    rng = np.random.default_rng(np.random.SeedSequence([task.seed, 99]))
    fold = rng.permutation(len(sample)) % FOLDS
    predicted = np.empty(len(sample))
    for number in range(FOLDS):
        others = np.flatnonzero(fold != number)
        kept = max(FEWEST_CELLS // 2, round(share * len(others)))
        seen = np.sort(rng.permutation(others)[:kept])
        predicted[fold == number] = predict_from(task, sample.take(seen), sample.take(fold == number))
    return predicted


def predict_from(task: FitTask, seen: Sample, asked: Sample) -> Floats:
    """Accuracies of the cells asked, by the first world of a model fitted on those seen."""
    scale = fit_scale(task.settings.scale, seen.final, task.chance)
    once = np.ones((1, len(seen)), np.int64)
    arrays = task.family.fit(seen, scale.to_scores(seen.final), once, task.settings, task.seed)[0]
    model = task.family.load(arrays, 0, task.settings, seen.space, seen.features.shape[1])
    return scale.to_accuracies(model.predict(asked.cells, asked.features))


def find_deviations(sample: Sample, noise: SeedNoise) -> Floats:
    """Deviation that seeds leave in each cell's mean accuracy, `float64[n]`."""
    return np.asarray(noise.valid[-1].at(sample.final) / np.sqrt(sample.runs), np.float64)


def _measure(whole: Sample, task: FitTask, held: Floats, noise: SeedNoise) -> dict[str, Any]:
    """Held-out figures as JSON values: of one design, by size and by share fitted; of each design by itself.

    The design is `group`: cells drawn at random, or all of a size. Mixed with them, what searches found would
    pass for order among random cells, for it is better than these. Where random cells are too few, `group` is
    None, and the figures are of all that are fitted. `by_group` has those of every group.
    """
    counted = task.sample.of_group(RANDOM)
    group = RANDOM if counted.sum() >= FEWEST_CELLS else None
    counted |= group is None
    sample, deviations = task.sample.take(counted), find_deviations(task.sample, noise)[counted]
    quality = {
        "folds": FOLDS,
        "by": "cell",
        "of": "validation accuracy, mean over seeds",
        "group": group,
        **measure_quality(held[counted], sample.final, deviations, sample.blocks),
        "by_group": _measure_groups(whole, task, held, noise),
        "by_training_share": {},
    }
    for share in task.settings.shares:
        predicted = predict_held_out(task, share)[counted]
        quality["by_training_share"][f"{100 * share:g}"] = measure_figures(
            predicted, sample.final, deviations
        )
    return quality


def _measure_groups(whole: Sample, task: FitTask, held: Floats, noise: SeedNoise) -> dict[str, Any]:
    """Figures by why cells were trained, each with those `by_blocks`.

    Cells that are not fitted are predicted by a model of all that are.
    """
    predicted = np.empty(len(whole))
    fitted = choose_fitted(whole, task.seed)
    predicted[fitted] = held
    if not fitted.all():
        predicted[~fitted] = predict_from(task, task.sample, whole.take(~fitted))
    deviations = find_deviations(whole, noise)
    groups = {}
    for group in GROUPS:
        mine = whole.of_group(group)
        if mine.any():
            found = measure_quality(predicted[mine], whole.final[mine], deviations[mine], whole.blocks[mine])
            groups[group] = found["overall"] | {"by_blocks": found["by_blocks"]}
    return groups
