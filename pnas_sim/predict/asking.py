"""Asking a predictor, which somebody else may have written, and seeing whether it answered."""

from __future__ import annotations

import inspect

import numpy as np

from pnas_sim.errors import SettingError
from pnas_sim.predict.base import ExpansionPredictor, Prediction, Predictor
from pnas_sim.space.arrays import Rows


def demand_predictor(predictor: object) -> Predictor:
    """What is given, if it can be fitted and asked: to be seen before anything is trained for it.

    Raises:
        SettingError: it has not both `fit` and `predict`, is a class, or its `fit` does not take cells,
            accuracies and a seed.
    """
    if isinstance(predictor, type) or not isinstance(predictor, Predictor):
        given = repr(predictor) if isinstance(predictor, str | type) else type(predictor).__name__
        raise SettingError(
            f"predictor is {given}; give an object with fit and predict, as make_predictor('ridge', space) is"
        )
    try:
        signature = inspect.signature(predictor.fit)
    except (TypeError, ValueError):  # some that are written in C tell nothing
        return predictor
    try:
        signature.bind(None, None, 0)
    except TypeError:
        raise SettingError(
            f"{_name(predictor)} has fit{signature}; it must take (cells, accuracies, seed)"
        ) from None
    return predictor


def ask_predictor(predictor: Predictor, cells: Rows) -> Prediction:
    """A predictor's word on rows (`uint8[n, width]`), given as a copy: it may write into what it is given.

    Raises:
        SettingError: it does not answer with one finite score a row.
    """
    return demand_scores(predictor, predictor.predict(cells.copy()), len(cells))


def ask_for_expansions(predictor: Predictor, parents: Rows, rows: Rows) -> Prediction:
    """A predictor's word on every row of the parents' expansion, by its own fast way if it has one.

    Args:
        predictor: asked.
        parents: `uint8[p, width]`, canonical.
        rows: `uint8[n, width]`, their expansion.

    Raises:
        SettingError: as `ask_predictor`.
    """
    if not isinstance(predictor, ExpansionPredictor):
        return ask_predictor(predictor, rows)
    return demand_scores(predictor, predictor.predict_expansions(parents.copy()), len(rows))


def demand_scores(predictor: Predictor, prediction: object, count: int) -> Prediction:
    """The prediction, if it has one finite score for each of so many cells.

    Raises:
        SettingError: it has not; the line names the predictor's class.
    """
    name = _name(predictor)
    if not isinstance(prediction, Prediction):
        raise SettingError(
            f"{name} answered with {type(prediction).__name__}; give pnas_sim.predict.Prediction"
        )
    mean = prediction.mean
    if not isinstance(mean, np.ndarray) or mean.shape != (count,):
        given = f"shape {mean.shape}" if isinstance(mean, np.ndarray) else f"type {type(mean).__name__}"
        raise SettingError(f"{name} gave a mean of {given} for {count} cells; give float64[{count}]")
    if not (finite := np.isfinite(mean)).all():
        raise SettingError(f"{name} gave {finite.sum()} finite scores for {count} cells; give one for each")
    return prediction


def _name(predictor: Predictor) -> str:
    return f"predictor {type(predictor).__module__}.{type(predictor).__qualname__}"
