from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.predict.mlp import StackedMlp
from pnas_sim.predict.rnn import StackedRnn
from pnas_sim.predict.stacked import _cut_minibatches, draw_training_sets, draw_weights, fit_weights
from pnas_sim.space import CellSpace

SPACE = CellSpace()
CELLS = np.concatenate([SPACE.initial()[::9], SPACE.sample(20, np.random.default_rng(0), blocks=3)])


@pytest.mark.parametrize("network", [StackedMlp, StackedRnn])
def test_first_weights_are_the_papers(network) -> None:
    weights = draw_weights(network(SPACE, 100, 100).shapes, 1.8, 0, 5)
    for name, vocabulary in (("input_embedding", 6), ("operation_embedding", 8)):
        embedding = weights[name]
        assert embedding.shape == (5, vocabulary, 100)
        assert -0.1 <= embedding.min() < -0.099 and 0.099 < embedding.max() <= 0.1
    assert torch.equal(weights["bias"], torch.full((5, 1, 1), 1.8))
    assert not torch.equal(weights["last_weight"][0], weights["last_weight"][1])


def test_a_members_first_weights_depend_on_seed_and_place_alone() -> None:
    shapes = StackedMlp(SPACE, 4, 3).shapes
    few, many = draw_weights(shapes, 0.0, 7, 2), draw_weights(shapes, 0.0, 7, 5)
    other = draw_weights(shapes, 0.0, 8, 2)
    for name in set(shapes) - {"bias"}:
        assert torch.equal(few[name], many[name][:2])
        assert not torch.equal(few[name], other[name])


@settings(deadline=None, max_examples=40)
@given(st.integers(5, 200), st.integers(2, 9), st.integers(0, 2**32))
def test_each_member_leaves_out_one_fold_and_the_folds_cover_everything(
    cells: int, members: int, seed: int
) -> None:
    kept = draw_training_sets(cells, members, seed)
    left_out = [np.setdiff1d(np.arange(cells), chosen) for chosen in kept]
    assert sorted(np.concatenate(left_out).tolist()) == list(range(cells))
    assert {len(fold) for fold in left_out} <= {cells // members, -(-cells // members)}


def test_five_members_are_fitted_on_four_fifths() -> None:
    assert [len(chosen) for chosen in draw_training_sets(1160, 5, 0)] == [928] * 5
    assert not np.array_equal(draw_training_sets(100, 5, 0)[0], draw_training_sets(100, 5, 1)[0])


@pytest.mark.parametrize(("cells", "members"), [(1, 5), (2, 5), (1, 2), (7, 1)])
def test_no_member_is_left_without_cells(cells: int, members: int) -> None:
    kept = draw_training_sets(cells, members, 0)
    assert len(kept) == members and min(map(len, kept)) >= 1
    assert members > 1 or kept[0].tolist() == list(range(cells))


@settings(deadline=None, max_examples=40)
@given(st.integers(6, 90), st.integers(1, 40), st.integers(0, 1000))
def test_an_epoch_shows_each_member_its_own_cells(cells: int, batch_size: int, seed: int) -> None:
    sets = draw_training_sets(cells, 3, seed)
    batches = list(_cut_minibatches(sets, batch_size, np.random.default_rng(seed)))
    sizes = [batch.shape[1] for batch in batches]
    assert max(sizes) <= batch_size and max(sizes) - min(sizes) <= 1
    seen = torch.cat(batches, dim=1).numpy()
    for member, chosen in enumerate(sets):
        assert set(seen[member].tolist()) == set(chosen.tolist())
        assert sum(sizes) - len(chosen) in (0, 1)


@pytest.mark.parametrize("network", [StackedMlp(SPACE, 5, 6), StackedRnn(SPACE, 5, 6)])
def test_members_fitted_together_are_those_fitted_alone(network) -> None:
    weights = draw_weights(network.shapes, 0.0, 3, 3)
    features = network.encode(CELLS)
    accuracies = torch.linspace(0.3, 0.6, len(CELLS))
    # one minibatch an epoch, so that the order of cells within it has no say
    settings = {"epochs": 4, "batch_size": 100, "learning_rate": 0.01, "seed": 0}
    sets = [np.arange(0, 24), np.arange(6, 30), np.arange(12, 36)]
    together = fit_weights(network, weights, features, accuracies, sets, **settings)
    for member, chosen in enumerate(sets):
        own = {name: value[member : member + 1] for name, value in weights.items()}
        alone = fit_weights(network, own, features, accuracies, [chosen], **settings)
        for name, value in alone.items():
            assert torch.allclose(value[0], together[name][member], atol=1e-4), name


def test_fitting_leaves_its_starting_weights_and_no_graph() -> None:
    network = StackedMlp(SPACE, 4, 3)
    weights = draw_weights(network.shapes, 0.0, 3, 2)
    before = {name: value.clone() for name, value in weights.items()}
    accuracies = torch.linspace(0.3, 0.6, len(CELLS))
    sets = draw_training_sets(len(CELLS), 2, 0)
    fitted = fit_weights(
        network,
        weights,
        network.encode(CELLS),
        accuracies,
        sets,
        epochs=1,
        batch_size=8,
        learning_rate=0.01,
        seed=0,
    )
    assert all(torch.equal(weights[name], before[name]) for name in weights)
    assert not any(value.requires_grad for value in fitted.values())
    assert not any(torch.equal(fitted[name], before[name]) for name in weights)


def test_the_loss_is_absolute_error() -> None:
    """A network with nothing to tell cells apart ends at the median, where squared error ends at the mean."""
    network = StackedMlp(SPACE, 4, 3)
    weights = draw_weights(network.shapes, 0.0, 0, 1)
    features = network.encode(np.repeat(CELLS[:1], 30, axis=0))
    accuracies = torch.tensor([0.7] * 20 + [0.1] * 10)  # median .7, mean .5
    fitted = fit_weights(
        network,
        weights,
        features,
        accuracies,
        [np.arange(30)],
        epochs=150,
        batch_size=30,
        learning_rate=0.01,
        seed=0,
    )
    predicted = torch.sigmoid(network.logits(fitted, features[None]))
    assert torch.allclose(predicted, torch.tensor(0.7), atol=0.03)
