from __future__ import annotations

import numpy as np
import pytest

from pnas_sim.predict import Prediction
from pnas_sim.space import CellSpace


class IntegerPredictor:
    """Scores are whole numbers of 64ths: exact on every machine, and full of ties.

    It reads rows as they are written, so that two rows of one cell may score differently.
    """

    def __init__(self, salt: int = 0) -> None:
        self.salt = salt
        self.fits: list[tuple[np.ndarray, np.ndarray, int]] = []
        self.scored = 0

    def fit(self, cells: np.ndarray, accuracies: np.ndarray, seed: int = 0) -> None:
        self.fits.append((cells.copy(), accuracies.copy(), seed))

    def predict(self, cells: np.ndarray) -> Prediction:
        self.scored += len(cells)
        tokens = np.where(cells == 255, 0, cells).astype(np.int64)
        places = np.arange(cells.shape[1]) * 7 + 3 + self.salt
        shift = round(float(sum(self.fits[-1][1])) * 64)
        return Prediction(mean=((tokens * places).sum(axis=1) * 11 + shift) % 64 / 64)


def integer_accuracy(cells: np.ndarray) -> np.ndarray:
    """Accuracies that are whole numbers of 64ths, `float64[n]`."""
    tokens = np.where(cells == 255, 0, cells).astype(np.int64)
    return (tokens * (np.arange(cells.shape[1]) * 5 + 1)).sum(axis=1) % 64 / 64


@pytest.fixture
def make_integer_predictor() -> type[IntegerPredictor]:
    return IntegerPredictor


@pytest.fixture
def answer():
    return integer_accuracy


@pytest.fixture
def small_space() -> CellSpace:
    return CellSpace(operations=("sep3", "id", "max3"), max_blocks=3)
