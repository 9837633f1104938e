"""Scoring expansions says the same as the plain networks of `torch.nn`, each child read in full."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.predict import make_predictor
from pnas_sim.predict.network import NetworkPredictor
from pnas_sim.space import CellSpace
from pnas_sim.testing.plain_networks import copy_network, read_tokens

MOST_DIFFERENCE = 1e-5
NAMES = "mlp", "rnn", "mlp-ensemble", "rnn-ensemble"
SPACES = {
    "paper": CellSpace(),
    "small": CellSpace(("sep3", "id", "max3"), 3),
    "one operation": CellSpace(("id",), 4),
    "ten blocks": CellSpace(max_blocks=10),
}


@cache
def fit_for_real(name: str, space: CellSpace) -> NetworkPredictor:
    """Fits with the defaults, epochs and sizes included, on accuracies with something to learn."""
    rng = np.random.default_rng(0)
    drawn = space.sample(60, rng, blocks=2)
    cells = np.concatenate([space.initial(), drawn[space.unique(drawn)[0]]])
    worth = np.where(cells == 255, 0, cells * 7 % 5).sum(axis=1) / (space.block_counts(cells) * 16)
    predictor = make_predictor(name, space)
    predictor.fit(cells, 0.3 + 0.4 * worth + rng.normal(0, 0.005, len(cells)))
    assert isinstance(predictor, NetworkPredictor)
    return predictor


def score_plainly(predictor: NetworkPredictor, space: CellSpace, parents: np.ndarray) -> np.ndarray:
    """Each member's accuracies of all expansions, `[m, p * k]`."""
    children = space.expand(parents).cells
    tokens = read_tokens(children, int(space.block_counts(children[:1])[0]))
    with torch.inference_mode():
        members = range(predictor.settings.members)
        logits = [copy_network(predictor, member)(tokens) for member in members]
        return torch.sigmoid(torch.stack(logits)).double().numpy()


def check_scores(name: str, space: CellSpace, parents: np.ndarray) -> None:
    predictor = fit_for_real(name, space)
    expected = score_plainly(predictor, space, parents)
    scored = predictor.predict_expansions(parents)
    assert np.abs(scored.mean - expected.mean(axis=0)).max() < MOST_DIFFERENCE
    assert np.ptp(scored.mean) > 100 * MOST_DIFFERENCE
    if len(expected) > 1:
        assert np.abs(scored.members - expected).max() < MOST_DIFFERENCE
        assert np.abs(scored.std - expected.std(axis=0, ddof=1)).max() < MOST_DIFFERENCE


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=8)
@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(1, 4), st.booleans())
def test_random_parents_in_the_papers_space(
    name: str, seed: int, size: int, count: int, unique: bool
) -> None:
    space = SPACES["paper"]
    check_scores(name, space, space.sample(count, np.random.default_rng(seed), blocks=size, unique=unique))


@pytest.mark.parametrize("name", ["mlp", "rnn-ensemble"])
@pytest.mark.parametrize("space", [SPACES["small"], SPACES["one operation"]], ids=["small", "one"])
@settings(deadline=None, max_examples=5)
@given(st.integers(0, 2**32), st.integers(1, 2), st.integers(1, 80))
def test_random_parents_in_other_spaces(
    name: str, space: CellSpace, seed: int, size: int, count: int
) -> None:
    check_scores(name, space, space.sample(count, np.random.default_rng(seed), blocks=size))


@pytest.mark.parametrize("name", ["mlp-ensemble", "rnn"])
@pytest.mark.parametrize("size", [1, 5, 9])
def test_parents_of_up_to_nine_blocks(name: str, size: int) -> None:
    space = SPACES["ten blocks"]
    check_scores(name, space, space.sample(2, np.random.default_rng(size), blocks=size))


@pytest.mark.parametrize("name", ["mlp", "rnn"])
def test_more_parents_than_are_scored_at_once(name: str) -> None:
    space = SPACES["small"]
    check_scores(name, space, space.sample(300, np.random.default_rng(0), blocks=2))


@pytest.mark.parametrize("name", NAMES)
def test_predict_says_the_same_for_rows_of_mixed_sizes(name: str) -> None:
    space, rng = SPACES["paper"], np.random.default_rng(5)
    predictor = fit_for_real(name, space)
    rows = [space.sample(30, rng, blocks=size, unique=False) for size in range(1, 6)]
    with torch.inference_mode():
        plain = [
            [copy_network(predictor, member)(read_tokens(some, size)) for size, some in enumerate(rows, 1)]
            for member in range(predictor.settings.members)
        ]
        expected = torch.sigmoid(torch.stack([torch.cat(logits) for logits in plain])).mean(dim=0).numpy()
    assert np.abs(predictor.predict(np.concatenate(rows)).mean - expected).max() < MOST_DIFFERENCE


def test_weights_too_large_for_the_tree_are_read_in_full() -> None:
    space = SPACES["small"]
    predictor = make_predictor("rnn", space, epochs=1, members=2)
    predictor.fit(space.initial(), np.linspace(0.2, 0.8, len(space.initial())))
    assert isinstance(predictor, NetworkPredictor)
    predictor.weights["read_weight"][1] *= 400
    parents = space.sample(5, np.random.default_rng(0), blocks=2)
    expected = score_plainly(predictor, space, parents)
    assert np.abs(predictor.predict_expansions(parents).members - expected).max() < MOST_DIFFERENCE
