"""PNAS with other guesses in the predictor's place: none at all, and the truth.

Neither is a predictor that a user would choose; they say how much of PNAS's success is growth and how much is
prediction. PNAS with the logarithm of parameters, multiply-adds or depth in the predictor's place is `pnas`
with the predictors of these names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from pnas_sim.answers import ask_whole
from pnas_sim.errors import SettingError
from pnas_sim.evaluate import Evaluator, ModelledEvaluator, Source
from pnas_sim.predict.base import Prediction
from pnas_sim.search.base import SearchRequest
from pnas_sim.search.pnas import Pnas
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Floats, Rows
from pnas_sim.space.rows import hash_rows

Oracle: TypeAlias = Callable[[Rows], Floats]

_SALT_BYTES = 8


class RandomScores:
    """A predictor that knows nothing: each cell has a random score, another one after each fit.

    Rows that write the same cell score the same, so that the best K are a uniform choice of unique cells.
    """

    def __init__(self, space: CellSpace) -> None:
        self._space = space
        self._salt = np.zeros(_SALT_BYTES, np.uint8)

    def fit(self, cells: Rows, accuracies: Floats, seed: int = 0) -> None:
        """Changes all scores."""
        words = np.random.SeedSequence(seed).generate_state(_SALT_BYTES // 4)
        self._salt = words.astype("<u4").view(np.uint8)

    def predict(self, cells: Rows) -> Prediction:
        """A score in [0, 1) for each row, as if drawn uniformly for each cell."""
        rows = self._space.canonical(cells)
        salted = np.hstack([np.broadcast_to(self._salt, (len(rows), _SALT_BYTES)), rows])
        hashes = hash_rows(salted)
        return Prediction(mean=(hashes >> np.uint64(11)).astype(np.float64) / 2.0**53)


class OracleScores:
    """A predictor that is never wrong: it knows every cell's accuracy free of seed noise, or a model's word.

    Args:
        space: of the cells.
        oracle: the accuracies (`float64[n]`) of canonical rows (`uint8[n, width]`).
    """

    def __init__(self, space: CellSpace, oracle: Oracle) -> None:
        self._space, self._oracle = space, oracle

    def fit(self, cells: Rows, accuracies: Floats, seed: int = 0) -> None:
        """Has nothing to learn."""

    def predict(self, cells: Rows) -> Prediction:
        """The oracle's answer for each row; each cell is asked for once."""
        rows = self._space.canonical(cells)
        first, inverse = self._space.unique(rows)
        return Prediction(mean=np.asarray(self._oracle(rows[first]), np.float64)[inverse])


def read_oracle(evaluator: Evaluator, epochs: float | None = None, seed: int = 0) -> Oracle:
    """An evaluator's noise-free accuracies as an oracle; what it is asked counts as no model.

    Args:
        evaluator: must know its answers free of seed noise, as the table's surrogate does.
        epochs: of the answers; by default the evaluator's own.
        seed: of the evaluation: noise-free answers do not depend on it, trainings looked up do.
    """
    space = evaluator.spec.space
    at = evaluator.spec.epochs if epochs is None else epochs

    def ask_oracle(cells: Rows) -> Floats:
        answers = ask_whole(evaluator, space.fit_width(cells), at, seed)
        values = answers.expected_valid_accuracy
        if answers.source == Source.MEASURED:  # what was measured once is all there is to know
            known = answers.valid_accuracy
            values = np.where(np.isnan(known), evaluator.spec.chance, known)  # a training that failed
        if np.isnan(values).any():
            raise SettingError(
                f"backend {evaluator.spec.name} knows no noise-free accuracy; pnas-oracle needs one that does"
            )
        return values

    return ask_oracle


def read_model(evaluator: Evaluator) -> Oracle | None:
    """An evaluator's model as an oracle: all there is to learn, and nothing drawn; None without one."""
    if not isinstance(evaluator, ModelledEvaluator):
        return None
    space, predict_mean = evaluator.spec.space, evaluator.predict_mean
    return lambda cells: predict_mean(space.fit_width(cells))


def create_random_beam(request: SearchRequest) -> Pnas:
    """Growth without a predictor: K random expansions on each level; options `beam` and `batch`."""
    return Pnas(request.space, RandomScores(request.space), **request.options, seed=request.seed)


def create_oracle(request: SearchRequest) -> Pnas:
    """PNAS with a perfect predictor; options `beam` and `batch`.

    Raises:
        SettingError: the request has no oracle.
    """
    if request.oracle is None:
        raise SettingError(
            "search pnas-oracle needs the backend's noise-free accuracies, which only a comparison gives it; "
            "use pnas-sim compare, or SearchRequest(oracle=...)"
        )
    scores = OracleScores(request.space, request.oracle)
    return Pnas(request.space, scores, **request.options, seed=request.seed)


def create_model_oracle(request: SearchRequest) -> Pnas:
    """PNAS with a predictor that knows the surrogate's model, but not the effects drawn for single cells.

    A perfect predictor reads those, too, which no predictor could learn: it is an upper bound, this one is
    what learning could come to. Options `beam` and `batch`.

    Raises:
        SettingError: the request has no model.
    """
    if request.model is None:
        raise SettingError(
            "search pnas-oracle-model needs a backend with a model, a table's surrogate, in pnas-sim compare"
        )
    scores = OracleScores(request.space, request.model)
    return Pnas(request.space, scores, **request.options, seed=request.seed)
