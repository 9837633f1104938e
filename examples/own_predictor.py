"""A predictor of one's own, checked and searched with. Run: `python examples/own_predictor.py`.

`pnas-sim run --predictor own_predictor:make` takes it too, where Python finds this file. A package offers it
by name with an entry point: `[project.entry-points."pnas_sim.predictors"]`, `median = "own_predictor:make"`.
"""

from __future__ import annotations

import numpy as np

from pnas_sim.predict import Prediction
from pnas_sim.predict.base import Floats, Rows
from pnas_sim.predict.features import describe_shares
from pnas_sim.predict.regression import FeaturePredictor, Guess
from pnas_sim.search import Observations, Pnas
from pnas_sim.space import CellSpace
from pnas_sim.testing.predictors import check_predictor


def regress(features: Floats, accuracies: Floats, seed: int) -> Guess:
    """Scores each operation by the accuracies of the cells that use it; a cell is the mean of its own."""
    worth = (features.T @ accuracies + accuracies.mean()) / (features.sum(axis=0) + 1)
    return lambda asked: Prediction(mean=asked @ worth)


def make(space: CellSpace) -> FeaturePredictor:
    """Mean worth of a cell's operations."""
    return FeaturePredictor(space, describe_shares, regress)


def judge(cells: Rows) -> Floats:
    """A made-up accuracy: put your own training here."""
    return np.asarray(0.4 + 0.04 * np.isin(cells, (1, 2)).sum(axis=1), np.float64)


if __name__ == "__main__":
    space = CellSpace(max_blocks=3)
    check_predictor(make, space)
    search = Pnas(space, make(space), beam=16)
    best = 0.0
    while len(proposals := search.ask(64)):
        accuracies = judge(proposals.cells)
        search.tell(Observations.ok(accuracies))
        best = max(best, float(accuracies.max()))
    print(f"the predictor keeps its contract; the best of three blocks reaches {best:.2f}")
