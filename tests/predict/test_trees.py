from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from pnas_sim.predict import make_predictor
from pnas_sim.predict.data import choose_training_sets
from pnas_sim.predict.trees import fit_folds


@pytest.mark.parametrize("name", ["gbt", "forest"])
def test_learns_an_additive_function_and_ranks_larger_cells(paper_space, accuracy, name: str) -> None:
    rng = np.random.default_rng(0)
    fitted, larger = paper_space.sample(256, rng, blocks=2), paper_space.sample(200, rng, blocks=3)
    predictor = make_predictor(name, paper_space, trees=40)
    predictor.fit(fitted, accuracy(fitted))
    assert spearmanr(predictor.predict(larger).mean, accuracy(larger)).statistic > 0.7


def test_each_member_leaves_one_fold_out() -> None:
    kept = choose_training_sets(23, 5, np.random.default_rng(4))
    left_out = [np.setdiff1d(np.arange(23), chosen) for chosen in kept]
    assert sorted(np.concatenate(left_out).tolist()) == list(range(23))
    assert {len(fold) for fold in left_out} == {4, 5}
    rng = np.random.default_rng(0)
    assert [len(chosen) for chosen in choose_training_sets(1, 3, rng)] == [1, 1, 1]
    assert [len(chosen) for chosen in choose_training_sets(7, 1, rng)] == [7]


class Mean:
    """A model that predicts the mean of what it was fitted on, and keeps its seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fit(self, features: np.ndarray, values: np.ndarray) -> Mean:
        self.mean = values.mean()
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        return np.full(len(features), self.mean)


def test_members_mean_and_deviation_go_together() -> None:
    made: list[Mean] = []

    def make(seed: int, cells: int) -> Mean:
        assert cells in (8, 10)
        made.append(Mean(seed))
        return made[-1]

    values = np.arange(10) / 10
    guess = fit_folds(make, 5, np.zeros((10, 1)), values, 3)
    answer = guess(np.zeros((4, 1)))
    assert answer.members is not None and answer.std is not None
    assert answer.members.shape == (5, 4)
    assert np.allclose(answer.mean, answer.members.mean(axis=0))
    assert np.allclose(answer.std, answer.members.std(axis=0, ddof=1))
    assert len({model.seed for model in made}) == 5
    alone = fit_folds(make, 1, np.zeros((10, 1)), values, 3)(np.zeros((4, 1)))
    assert alone.members is None and np.allclose(alone.mean, values.mean())


@pytest.mark.parametrize("name", ["gbt", "forest"])
def test_another_seed_is_another_model(paper_space, accuracy, name: str) -> None:
    cells = paper_space.initial()
    predictor = make_predictor(name, paper_space, trees=5)
    predictor.fit(cells, accuracy(cells), 1)
    once = predictor.predict(cells).mean
    predictor.fit(cells, accuracy(cells), 2**32 - 1)
    assert not np.array_equal(once, predictor.predict(cells).mean)


SETTINGS = {
    "gbt": {"trees": 6, "depth": 1, "learning_rate": 0.3, "share": 1.0},
    "forest": {"trees": 6, "smallest_leaf": 20, "share": 1.0},
}


@pytest.mark.parametrize("name", list(SETTINGS))
def test_every_setting_reaches_the_model(paper_space, accuracy, name: str) -> None:
    cells = paper_space.initial()[::2]

    def predict(**options: float) -> np.ndarray:
        predictor = make_predictor(name, paper_space, **{"members": 1, "trees": 5, **options})
        predictor.fit(cells, accuracy(cells), 1)
        return predictor.predict(cells).mean

    usual = predict()
    for option, value in SETTINGS[name].items():
        assert not np.allclose(predict(**{option: value}), usual), option


@pytest.mark.parametrize("name", list(SETTINGS))
def test_there_are_as_many_members_as_asked_for(paper_space, accuracy, name: str) -> None:
    cells = paper_space.initial()[::4]
    predictor = make_predictor(name, paper_space, members=3, trees=2)
    predictor.fit(cells, accuracy(cells))
    members = predictor.predict(cells).members
    assert members is not None and members.shape == (3, len(cells))
