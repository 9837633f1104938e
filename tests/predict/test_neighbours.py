from __future__ import annotations

import numpy as np
from scipy.stats import spearmanr

from pnas_sim.predict import make_predictor
from pnas_sim.predict.features import describe_shares
from pnas_sim.predict.neighbours import _describe_directions, average_nearest


def test_the_nearest_are_averaged_and_equals_all_count() -> None:
    features = np.array([[0.0], [1.0], [1.0], [5.0]])
    values = np.array([0.1, 0.2, 0.6, 0.9])
    one = average_nearest(features, values, np.array([[0.1], [5.2], [1.0]]), 1)
    assert np.allclose(one.mean, [0.1, 0.9, 0.4])
    assert np.allclose(one.std, [0.0, 0.0, 0.2])
    two = average_nearest(features, values, np.array([[0.0]]), 2)  # the second is one of two equals
    assert np.allclose(two.mean, 0.3)
    assert np.allclose(average_nearest(features, values, features, 9).mean, values.mean())


def test_equals_but_for_rounding_count_both() -> None:
    features = np.array([[0.1 + 0.2], [0.3], [0.9]])
    assert features[0, 0] != features[1, 0]
    for asked in (0.3, 0.0):
        nearest = average_nearest(features, np.array([0.2, 0.4, 0.9]), np.array([[asked]]), 1)
        assert np.allclose(nearest.mean, 0.3)


def test_cells_are_directions_of_shares(paper_space) -> None:
    cells = paper_space.sample(50, np.random.default_rng(0), blocks=3)
    shares, directions = describe_shares(paper_space, cells), _describe_directions(paper_space, cells)
    assert np.allclose((directions**2).sum(axis=1), 1)
    assert np.allclose(directions * np.sqrt((shares**2).sum(axis=1, keepdims=True)), shares)


def test_learns_what_operations_are_worth(paper_space, accuracy) -> None:
    cells = paper_space.sample(300, np.random.default_rng(0), blocks=2)
    predictor = make_predictor("knn", paper_space, neighbours=5)
    predictor.fit(cells, accuracy(cells))
    larger = paper_space.sample(200, np.random.default_rng(1), blocks=3)
    assert spearmanr(predictor.predict(larger).mean, accuracy(larger)).statistic > 0.4


def test_a_cell_fitted_is_its_own_nearest(paper_space, accuracy) -> None:
    cells = paper_space.initial()
    predictor = make_predictor("knn", paper_space, neighbours=1)
    predictor.fit(cells, accuracy(cells))
    assert np.allclose(predictor.predict(cells).mean, accuracy(cells))
