from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.errors import TableError
from pnas_tables.forest import ForestSettings, train_forest
from pnas_tables.trees import Trees, parse_trees


def train(features: np.ndarray, seed: int, **changes: int) -> str:
    rng = np.random.default_rng(seed)
    targets = np.sin(features[:, 0]) + features[:, 1] * features[:, 2] + rng.normal(0, 0.1, len(features))
    options = ForestSettings(trees=15, **changes).for_lightgbm()
    return train_forest(features, targets, np.ones(len(features)), options, seed)


@pytest.mark.parametrize("leaves", [2, 5, 8])
def test_trees_answer_as_lightgbm_does(leaves: int) -> None:
    import lightgbm

    rng = np.random.default_rng(leaves)
    features = np.round(rng.normal(size=(300, 6)), 1)
    texts = [train(features, seed, leaves=leaves) for seed in range(4)]
    trees = parse_trees(texts, 6)
    asked = np.concatenate([features, rng.normal(size=(300, 6)), np.zeros((1, 6))])
    expected = sum(lightgbm.Booster(model_str=text).predict(asked, num_threads=1) for text in texts)
    np.testing.assert_allclose(trees.total(asked), expected, rtol=0, atol=1e-12)
    # each threshold itself is where `<=` and `<` would differ
    edge = np.zeros((len(trees.features), 6))
    # (LightGBM writes "just below 0" as -1e-35 and compares that rounded; no feature comes near it)
    usual = np.isfinite(trees.thresholds) & (np.abs(trees.thresholds) > 1e-30)
    edge[np.arange(len(edge))[usual], trees.features[usual]] = trees.thresholds[usual]
    expected = sum(lightgbm.Booster(model_str=text).predict(edge, num_threads=1) for text in texts)
    np.testing.assert_allclose(trees.total(edge), expected, rtol=0, atol=1e-12)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 600))
def test_a_cells_total_is_its_own_to_the_last_bit(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    trees = TREES
    features = rng.normal(size=(count, 6))
    together = trees.total(features)
    alone = rng.integers(0, count, 5)
    for place in alone:
        assert trees.total(features[place : place + 1])[0] == together[place]
    order = rng.permutation(count)
    np.testing.assert_array_equal(trees.total(features[order]), together[order])


FEATURES = np.random.default_rng(0).normal(size=(200, 6))
TREES = parse_trees([train(FEATURES, 1), train(FEATURES, 2)], 6)


def test_trees_without_a_split_are_constants() -> None:
    flat = train_forest(FEATURES, np.full(200, 0.25), np.ones(200), ForestSettings(trees=3).for_lightgbm(), 0)
    np.testing.assert_allclose(parse_trees([flat], 6).total(FEATURES), 0.25)


def test_arrays_and_back() -> None:
    again = Trees.read(TREES.as_arrays("w"), "w")
    np.testing.assert_array_equal(again.total(FEATURES), TREES.total(FEATURES))
    assert len(TREES.total(FEATURES[:0])) == 0


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("features", lambda values: values + 6),
        ("features", lambda values: values - 7),
        ("conditions", lambda values: values + 10**6),
        ("conditions", lambda values: values[0]),
        ("conditions", lambda values: values[:, :0]),
        ("left", lambda values: values[:, 1:]),
        ("leaves", lambda values: values[:, :4]),
        ("thresholds", lambda values: values[1:]),
        ("thresholds", lambda values: values.view(np.int64)),
        ("left", lambda values: values.astype(float)),
        ("features", lambda values: values.astype(float)),
        ("leaves", lambda values: values.view(np.uint64)),
    ],
)
def test_places_outside_are_refused(name: str, change: object) -> None:
    arrays = TREES.as_arrays("w")
    arrays[f"w-{name}"] = change(arrays[f"w-{name}"])  # type: ignore[operator]
    with pytest.raises(TableError, match="trees are damaged"):
        Trees.read(arrays, "w")
