"""Speed of a level of PNAS without its predictor. Run: `pytest bench/bench_search.py --benchmark-only`.

Expansion, canonical forms, distinct cells and the top K of the last level of the paper's search; the median
over rounds, in CPU seconds of one thread, so that other work of the machine counts little. The test fails
where its target is missed.
"""

from __future__ import annotations

import time

import numpy as np
import pytest

from pnas_sim.predict import Prediction
from pnas_sim.search.pnas import _choose
from pnas_sim.space import CellSpace

LEVEL_SECONDS = 2.0  # 301,056 rows


class Scores:
    """A predictor that has its scores ready, so that only the search is timed."""

    def __init__(self) -> None:
        self.mean = np.random.default_rng(0).random(301_056)

    def fit(self, cells: np.ndarray, accuracies: np.ndarray, seed: int = 0) -> None:
        """Has nothing to learn."""

    def predict(self, cells: np.ndarray) -> Prediction:
        """Scores row by row."""
        return Prediction(mean=self.mean[: len(cells)])


@pytest.mark.benchmark(timer=time.process_time)
def test_choosing_level_five(benchmark) -> None:
    space = CellSpace()
    parents = space.sample(256, np.random.default_rng(0), blocks=4)
    benchmark.extra_info.update(target=LEVEL_SECONDS, unit="s", n=301_056)
    level = benchmark.pedantic(_choose, (space, Scores(), parents, 256), rounds=5)
    assert (level.candidates, len(level.cells)) == (301_056, 256)
    assert benchmark.stats["median"] < LEVEL_SECONDS
