"""Speed of the predictors. Run: `pytest bench/bench_predict.py --benchmark-only`, one thread.

Scoring the 301,056 candidates of the last level by `predict_expansions`, against `predict` on the rows
that `expand` builds (for 16 of the 256 parents); and the last fit of the paper's search, on 904 cells. A test
fails where its target is missed.
"""

from __future__ import annotations

import time

import numpy as np
import pytest

from pnas_sim.predict import ExpansionPredictor, make_predictor
from pnas_sim.space import CellSpace

SPACE = CellSpace()
PARENTS = 256
CANDIDATES = 301_056
SLOWLY_SCORED = 16  # parents whose rows `predict` scores
SCORING_SECONDS = {"mlp-ensemble": 2.0, "rnn-ensemble": 10.0}
FASTER = {"mlp-ensemble": 1.2, "rnn-ensemble": 8.0}  # predict_expansions against expand and predict
FIT_SECONDS = {"mlp-ensemble": 8.0, "rnn-ensemble": 30.0}


def draw_fitted() -> tuple[np.ndarray, np.ndarray]:
    """Returns the cells a search has before its last level, and accuracies."""
    rng = np.random.default_rng(0)
    cells = np.concatenate([SPACE.initial(), *(SPACE.sample(256, rng, blocks=size) for size in (2, 3, 4))])
    return cells, rng.uniform(0.3, 0.6, len(cells))


@pytest.mark.parametrize("name", SCORING_SECONDS)
def test_scoring_the_last_level(benchmark, name: str) -> None:
    cells, accuracies = draw_fitted()
    predictor = make_predictor(name, SPACE, epochs=1)
    predictor.fit(cells, accuracies)
    assert isinstance(predictor, ExpansionPredictor)
    parents = cells[-PARENTS:]
    scored = benchmark.pedantic(predictor.predict_expansions, (parents,), rounds=3, warmup_rounds=1)
    assert len(scored.mean) == CANDIDATES
    start = time.perf_counter()
    predictor.predict(SPACE.expand(parents[:SLOWLY_SCORED]).cells)
    slowly = (time.perf_counter() - start) * PARENTS / SLOWLY_SCORED
    ratio = slowly / benchmark.stats["median"]
    benchmark.extra_info.update(target=SCORING_SECONDS[name], unit="s", n=CANDIDATES, ratio=ratio)
    assert benchmark.stats["median"] < SCORING_SECONDS[name]
    assert ratio > FASTER[name]


@pytest.mark.parametrize("name", FIT_SECONDS)
def test_the_last_fit(benchmark, name: str) -> None:
    cells, accuracies = draw_fitted()
    predictor = make_predictor(name, SPACE)
    predictor.fit(cells[:64], accuracies[:64])
    benchmark.extra_info.update(target=FIT_SECONDS[name], unit="s", n=len(cells))
    benchmark.pedantic(predictor.fit, (cells, accuracies), rounds=1)
    assert benchmark.stats["median"] < FIT_SECONDS[name]
