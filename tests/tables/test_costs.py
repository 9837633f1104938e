from __future__ import annotations

import pickle

import numpy as np
import pytest

from pnas_backends.training.costs import cell_costs
from pnas_backends.training.recipe import make_recipe
from pnas_sim.space import CellSpace
from pnas_tables.catalogue import DEFAULT_TABLE
from pnas_tables.costs import CostRule, describe_cells, find_cost_rule
from pnas_tables.features import cell_features
from pnas_tables.shipped_plans import find_recipe

RECIPE = find_recipe(DEFAULT_TABLE).model_dump(mode="json")


@pytest.fixture(scope="module")
def cells() -> np.ndarray:
    space = CellSpace()
    return space.canonical(space.sample(20, np.random.default_rng(0)))


def test_a_rule_counts_networks_of_the_recipe_and_is_a_value(cells: np.ndarray) -> None:
    rule = find_cost_rule(RECIPE)
    assert rule == CostRule(make_recipe(RECIPE).shape) == pickle.loads(pickle.dumps(rule))
    space = CellSpace()
    for own, expected in zip(
        rule(space.operations, cells), cell_costs(cells, space, rule.shape), strict=True
    ):
        np.testing.assert_array_equal(own, expected)
    assert [len(costs) for costs in rule(space.operations, cells[:0])] == [0, 0]


def test_recipes_of_other_trainers_have_none(cells: np.ndarray) -> None:
    assert find_cost_rule({"trainer": "made-up", "epochs": 1.0}) is None
    features, parameters, multiply_adds = describe_cells(CellSpace(), None, cells)
    np.testing.assert_array_equal(features, cell_features(CellSpace(), cells))
    assert set(parameters) == set(multiply_adds) == {-1}


def test_costs_stand_as_logarithms_beside_the_features(cells: np.ndarray) -> None:
    features, parameters, multiply_adds = describe_cells(CellSpace(), find_cost_rule(RECIPE), cells)
    np.testing.assert_array_equal(features[:, -2], np.log(parameters))
    np.testing.assert_array_equal(features[:, -1], np.log(multiply_adds))
