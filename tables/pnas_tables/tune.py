"""Chooses a surrogate's settings by cross-validation, and says what that choice is worth by nesting it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pnas_sim.errors import TableError
from pnas_sim.space.arrays import Floats
from pnas_tables.families import FitSettings
from pnas_tables.fit import FOLDS, FitTask, find_deviations, predict_from, prepare_fit
from pnas_tables.quality import measure_figures
from pnas_tables.record import Table
from pnas_tables.sample import Sample
from pnas_tables.scale import SCALES
from pnas_tables.seeds import SeedNoise

INNER_FOLDS = 3
FEWEST_CELLS = 60
SCALE_MARGIN = (
    0.005  # of tau; by less other folds would prefer another scale, and surrogates of one scale compare
)
LEAVES, LEAST_CELLS = (4, 6, 8), (3, 8)


def list_candidates(family: str, settings: FitSettings) -> list[FitSettings]:
    """What is tried: both scales, and for forests the size of trees and leaves."""
    if family == "gp":
        return [replace(settings, scale=scale) for scale in SCALES]
    return [
        replace(settings, scale=scale, forest=replace(settings.forest, leaves=leaves, least_cells=least))
        for scale, leaves, least in product(SCALES, LEAVES, LEAST_CELLS)
    ]


def tune_settings(
    table: Table,
    family: str,
    seed: int,
    settings: FitSettings,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[FitSettings, dict[str, Any]]:
    """The candidate of the highest Kendall tau on cells held out, and a report.

    One of another scale than the settings' own must be ahead by `SCALE_MARGIN`.

    The report's `nested` figures are of the whole procedure: in each of five outer folds the choice is made
    anew, by cross-validation on the other four alone, so no cell had a say in the settings that predict it.

    Args:
        table: with trained cells.
        family: of the surrogate.
        seed: of the fit; folds follow it.
        settings: what is not tuned.
        progress: called with the number of fits done and of all.

    Raises:
        TableError: the table has too few cells to choose by, or all of one accuracy.
    """
    _, task = prepare_fit(table, family, seed, settings)
    sample, candidates = task.sample, list_candidates(family, settings)
    _demand_choice(table, sample)
    count = _make_counter(len(candidates) * INNER_FOLDS * (FOLDS + 1), progress)
    nested, picks = _predict_nested(task, candidates, seed, count)
    taus = _compare(task, sample, candidates, seed, count)
    chosen = _pick(candidates, taus, settings.scale)
    return chosen, {
        "candidates": [
            _name_candidate(family, one) | {"kendall_tau": tau}
            for one, tau in zip(candidates, taus, strict=True)
        ],
        "chosen": _name_candidate(family, chosen),
        "chosen_in_outer_folds": [_name_candidate(family, pick) for pick in picks],
        "nested": measure_figures(nested, sample.final, find_deviations(sample, SeedNoise.measure(table))),
    }


def _demand_choice(table: Table, sample: Sample) -> None:
    if len(sample) < FEWEST_CELLS:
        raise TableError(
            f"table {table.name} has {len(sample)} cells to choose settings by; at least {FEWEST_CELLS} "
            "are needed: fit without --tune"
        )
    if np.ptp(sample.final) == 0:
        raise TableError(
            f"all {len(sample)} cells of table {table.name} have accuracy {sample.final[0]:g}, which ranks "
            "no settings: fit without --tune"
        )


def _make_counter(total: int, progress: Callable[[int, int], None] | None) -> Callable[[], None]:
    numbers = iter(range(1, total + 1))

    def count() -> None:
        done = next(numbers)
        if progress is not None:
            progress(done, total)

    return count


def _predict_nested(
    task: FitTask, candidates: list[FitSettings], seed: int, count: Callable[[], None]
) -> tuple[Floats, list[FitSettings]]:
    """Each cell's accuracy by settings chosen without its outer fold, and each outer fold's choice."""
    nested, picks = np.empty(len(task.sample)), []
    for held, number in _folds(len(task.sample), FOLDS, seed):
        seen, asked = task.sample.take(~held), task.sample.take(held)
        taus = _compare(task, seen, candidates, seed + 1 + number, count)
        picks.append(_pick(candidates, taus, task.settings.scale))
        nested[held] = predict_from(replace(task, settings=picks[-1]), seen, asked)
    return nested, picks


def _pick(candidates: list[FitSettings], taus: list[float], scale: str) -> FitSettings:
    """The best of this scale, or of all where that one is ahead by more than chance."""
    own = [place for place, one in enumerate(candidates) if one.scale == scale]
    best, best_own = int(np.argmax(taus)), max(own, key=lambda place: taus[place])
    return candidates[best if taus[best] - taus[best_own] > SCALE_MARGIN else best_own]


def _name_candidate(family: str, settings: FitSettings) -> dict[str, Any]:
    named: dict[str, Any] = {"scale": settings.scale}
    if family != "gp":
        named |= {"leaves": settings.forest.leaves, "least_cells": settings.forest.least_cells}
    return named


def _folds(count: int, folds: int, seed: int) -> Iterator[tuple[NDArray[np.bool_], int]]:
    """Masks of the cells held out, and the number of the fold."""
    fold = np.random.default_rng(np.random.SeedSequence([seed, 98])).permutation(count) % folds
    for number in range(folds):
        yield fold == number, number


def _compare(
    task: FitTask, sample: Sample, candidates: list[FitSettings], seed: int, count: Callable[[], None]
) -> list[float]:
    """Kendall tau of each candidate on cells held out; the folds are the same for all."""
    from scipy.stats import kendalltau

    taus = []
    for settings in candidates:
        predicted = np.empty(len(sample))
        for held, _ in _folds(len(sample), INNER_FOLDS, seed):
            one = replace(task, settings=settings)
            predicted[held] = predict_from(one, sample.take(~held), sample.take(held))
            count()
        taus.append(float(kendalltau(predicted, sample.final).statistic))
    return taus
