from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from pnas_sim.errors import CellError, SettingError
from pnas_sim.predict import make_predictor


def operation_worth(cells: np.ndarray) -> np.ndarray:
    tokens = cells.reshape(len(cells), -1, 4)[:, :, 2:].astype(np.int64)
    used = tokens != 255
    return 0.4 + 0.02 * (tokens * 3 % 8 * used).sum(axis=(1, 2)) / used.sum(axis=(1, 2))


def test_fits_what_is_linear_in_operation_shares_and_extends_it_to_larger_cells(paper_space) -> None:
    predictor = make_predictor("ridge", paper_space, alpha=1e-9)
    predictor.fit(paper_space.initial(), operation_worth(paper_space.initial()))
    larger = paper_space.sample(200, np.random.default_rng(0))
    assert np.allclose(predictor.predict(larger).mean, operation_worth(larger), atol=1e-6)


def test_is_blind_to_wiring(paper_space) -> None:
    predictor = make_predictor("ridge", paper_space)
    cells = paper_space.initial()
    predictor.fit(cells, np.random.default_rng(0).random(len(cells)))
    rows = paper_space.parse_many(
        ["sep3(-2)+sep5(-2) | id(1)+max3(-1)", "max3(-2)+sep5(-1) | sep3(-1)+id(-2)"]
    )
    assert np.ptp(predictor.predict(rows).mean) < 1e-12


def test_larger_alpha_shrinks_towards_the_mean(paper_space) -> None:
    cells = paper_space.initial()
    spreads = []
    for alpha in (0.01, 1.0, 100.0, 1e6):
        predictor = make_predictor("ridge", paper_space, alpha=alpha)
        predictor.fit(cells, operation_worth(cells))
        spreads.append(float(np.std(predictor.predict(cells).mean)))
    assert spreads == sorted(spreads, reverse=True) and spreads[-1] < 1e-4 < spreads[0]


def test_ranks_noisy_cells_well(paper_space) -> None:
    rng = np.random.default_rng(1)
    fitted, held_out = paper_space.sample(300, rng, blocks=3), paper_space.sample(300, rng, blocks=4)
    predictor = make_predictor("ridge", paper_space)
    predictor.fit(fitted, operation_worth(fitted) + rng.normal(0, 0.005, 300))
    predicted = predictor.predict(held_out).mean
    assert spearmanr(predicted, operation_worth(held_out)).statistic > 0.9


def test_predictions_stay_within_0_and_1(tiny_space) -> None:
    predictor = make_predictor("ridge", tiny_space, alpha=1e-9)
    cells = tiny_space.parse_many(["sep3(-1)+id(-1)", "id(-1)+id(-1)"])
    predictor.fit(cells, np.array([1.0, 0.4]))
    asked = tiny_space.parse_many(["sep3(-1)+sep3(-1)", "id(-1)+id(-1)"])
    assert predictor.predict(asked).mean.max() == 1.0


def test_asked_before_fit(paper_space) -> None:
    with pytest.raises(SettingError, match="call fit"):
        make_predictor("ridge", paper_space).predict(paper_space.initial())


def test_rows_outside_the_space_are_refused_when_asked(paper_space) -> None:
    predictor = make_predictor("ridge", paper_space)
    cells = paper_space.initial()
    predictor.fit(cells, np.full(len(cells), 0.5))
    bad = cells[:1].copy()
    bad[0, 3] = 99
    with pytest.raises(CellError):
        predictor.predict(bad)
