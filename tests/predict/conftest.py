from __future__ import annotations

import numpy as np
import pytest

from pnas_sim.space import CellSpace


def additive_accuracy(cells: np.ndarray) -> np.ndarray:
    """Accuracies that are the mean worth of a cell's operations and inputs, `float64[n]` in [.3, .7]."""
    tokens = cells.reshape(len(cells), -1, 4).astype(np.int64)
    present = tokens[:, :, 0] != 255
    tokens = np.where(present[:, :, None], tokens, 0)
    worth = (tokens[:, :, 2:] * 3 % 7).sum(axis=2) / 12 + 0.3 * (tokens[:, :, :2] == 1).sum(axis=2)
    return 0.3 + 0.25 * (worth * present).sum(axis=1) / present.sum(axis=1)


@pytest.fixture
def accuracy():
    return additive_accuracy


@pytest.fixture(scope="session")
def paper_space() -> CellSpace:
    return CellSpace()


@pytest.fixture(scope="session")
def tiny_space() -> CellSpace:
    return CellSpace(operations=("sep3", "id", "max3"), max_blocks=3)
