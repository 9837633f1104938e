from __future__ import annotations

import numpy as np
import pytest
import torch

from pnas_sim.errors import SettingError
from pnas_sim.predict import make_predictor
from pnas_sim.predict.early_stopping import BestWeights
from pnas_sim.predict.settings import NetworkSettings


class Constant:
    """A network of one weight, the logit of every cell."""

    def logits(self, weights: dict[str, torch.Tensor], features: torch.Tensor) -> torch.Tensor:
        return weights["bias"][:, :, 0].expand(-1, features.shape[1])


def weights_of(*accuracies: float) -> dict[str, torch.Tensor]:
    return {"bias": torch.logit(torch.tensor(accuracies))[:, None, None]}


def watch(sets: list[list[int]], accuracies: list[float], patience: int) -> BestWeights:
    features = torch.zeros(len(accuracies), 1)
    training_sets = [np.array(chosen) for chosen in sets]
    return BestWeights(Constant(), features, torch.tensor(accuracies), training_sets, patience)


def test_each_member_keeps_what_was_best_on_its_own_fold() -> None:
    best = watch([[0, 1], [2, 3]], [0.2, 0.2, 0.8, 0.8], patience=3)  # watched: .8 and .2
    for values in ((0.5, 0.5), (0.7, 0.7), (0.3, 0.3)):
        assert not best.take(weights_of(*values))
    assert torch.allclose(torch.sigmoid(best.best["bias"]).flatten(), torch.tensor([0.7, 0.3]))


def test_it_is_over_when_no_member_improved_for_the_epochs_of_patience() -> None:
    best = watch([[0], [1]], [0.2, 0.8], patience=2)
    answers = [best.take(weights_of(*values)) for values in ((0.5, 0.5), (0.6, 0.5), (0.4, 0.6), (0.5, 0.6))]
    assert answers == [False, False, False, True]
    assert best.take(weights_of(0.8, 0.2)) is False


def test_a_member_without_a_fold_is_watched_on_its_own_cells() -> None:
    best = watch([[0, 1], [0, 1]], [0.2, 0.2], patience=1)
    assert not best.take(weights_of(0.5, 0.2))
    assert not best.take(weights_of(0.4, 0.3))
    assert best.take(weights_of(0.6, 0.6))
    assert torch.allclose(torch.sigmoid(best.best["bias"]).flatten(), torch.tensor([0.4, 0.2]))


def test_errors_are_absolute_not_squared() -> None:
    best = watch([[0, 1, 2], [3, 4, 5]], [0.1, 0.1, 0.7, 0.1, 0.1, 0.7], patience=3)
    assert not best.take(weights_of(0.1, 0.1))  # off by .6 in all, as a median is: the least there is
    assert not best.take(weights_of(0.3, 0.3))  # off by .8, and less in squares
    assert torch.allclose(torch.sigmoid(best.best["bias"]).flatten(), torch.tensor([0.1, 0.1]))


def test_what_is_kept_does_not_change_with_the_fit() -> None:
    best = watch([[0], [1]], [0.2, 0.8], patience=1)
    weights = weights_of(0.5, 0.5)
    best.take(weights)
    weights["bias"] += 1
    assert torch.allclose(torch.sigmoid(best.best["bias"]).flatten(), torch.tensor([0.5, 0.5]))


@pytest.mark.parametrize("name", ["mlp-ensemble", "rnn-ensemble"])
def test_a_fit_with_patience_ends_early_and_is_the_same_again(paper_space, accuracy, name: str) -> None:
    cells = paper_space.initial()[:40]
    small = {"embedding": 6, "hidden": 6, "first_learning_rate": 0.05}
    answers = {}
    for epochs, patience in ((200, 2), (400, 2), (400, 0)):
        predictor = make_predictor(name, paper_space, epochs=epochs, patience=patience, **small)
        predictor.fit(cells, accuracy(cells), 3)
        answers[epochs, patience] = predictor.predict(cells).mean
    assert np.array_equal(answers[200, 2], answers[400, 2])
    assert not np.allclose(answers[400, 2], answers[400, 0])


@pytest.mark.parametrize("value", [-1, 1.5, "3", True])
def test_patience_is_a_whole_number(value: object) -> None:
    with pytest.raises(SettingError, match="patience"):
        NetworkSettings(patience=value)


def test_one_member_has_no_fold_to_watch() -> None:
    with pytest.raises(SettingError, match="patience is 3 with 1 member, which leaves no fold out"):
        NetworkSettings(members=1, patience=3)
