from __future__ import annotations

import numpy as np

from pnas_sim.predict.base import Prediction
from pnas_sim.predict.regression import FeaturePredictor, join_predictions
from pnas_sim.space import CellSpace
from pnas_sim.space.arrays import Rows


def test_means_and_members_are_bounded_and_deviations_are_not() -> None:
    parts = [
        Prediction(np.array([-0.5, 0.4]), np.array([3.0, 0.1]), np.array([[-1.0, 0.3], [0.2, 0.5]])),
        Prediction(np.array([1.5]), np.array([0.2]), np.array([[0.7], [2.0]])),
    ]
    joined = join_predictions(parts)
    assert joined.std is not None and joined.members is not None
    assert joined.mean.tolist() == [0.0, 0.4, 1.0]
    assert joined.std.tolist() == [3.0, 0.1, 0.2]
    assert joined.members.tolist() == [[0.0, 0.3, 0.7], [0.2, 0.5, 1.0]]


def test_what_no_part_has_the_whole_has_not() -> None:
    joined = join_predictions([Prediction(np.array([0.5])), Prediction(np.array([0.6, 0.7]))])
    assert joined.mean.tolist() == [0.5, 0.6, 0.7]
    assert joined.std is None and joined.members is None


def test_cells_are_asked_about_in_chunks_in_their_order() -> None:
    space, asked = CellSpace(), list[int]()

    def describe(space: CellSpace, cells: Rows) -> np.ndarray:
        asked.append(len(cells))
        return cells[:, 2:4].astype(np.float64)

    predictor = FeaturePredictor(space, describe, lambda *_: lambda f: Prediction(f[:, 1] / 10), rows=50)
    cells = space.initial()
    predictor.fit(cells, np.full(len(cells), 0.5))
    assert predictor.predict(cells).mean.tolist() == (cells[:, 3] / 10).tolist()
    assert predictor.predict(cells[:0]).mean.shape == (0,)
    assert asked == [136, 50, 50, 36, 0]
