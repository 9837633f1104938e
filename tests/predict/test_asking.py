"""What is seen of a predictor before anything is trained for it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pnas_sim.errors import SettingError
from pnas_sim.predict import make_predictor
from pnas_sim.predict.asking import demand_predictor
from pnas_sim.search import Bananas, NoGrowth, Pnas
from pnas_sim.space import CellSpace

SPACE = CellSpace(("sep3", "id"), 2)
SEARCHES = [Pnas, Bananas, NoGrowth]


def fitted_by(fit) -> SimpleNamespace:
    return SimpleNamespace(fit=fit, predict=lambda cells: None)


@pytest.mark.parametrize(
    "fit",
    [
        lambda cells, accuracies, seed: None,
        lambda cells, accuracies, seed=0, more=1: None,
        lambda *data: None,
        make_predictor("ridge", SPACE).fit,
        min,  # of which no signature is known
    ],
)
def test_a_predictor_is_taken_as_it_is(fit) -> None:
    predictor = fitted_by(fit)
    assert demand_predictor(predictor) is predictor


@pytest.mark.parametrize("make_search", SEARCHES)
@pytest.mark.parametrize(
    ("predictor", "message"),
    [
        ("ridge", r"predictor is 'ridge'; give an object with fit and predict, as make_predictor\('ridge'"),
        (None, "predictor is NoneType"),
        (SPACE, "predictor is CellSpace"),
        (type(make_predictor("ridge", SPACE)), "predictor is <class .*RidgePredictor'>"),
        (
            fitted_by(lambda cells, accuracies: None),
            r"SimpleNamespace has fit\(cells, accuracies\); it must take \(cells, accuracies, seed\)",
        ),
        (fitted_by(lambda cells, accuracies, *, seed: None), r"it must take \(cells, accuracies, seed\)"),
        (fitted_by(lambda one, two, three, four: None), r"it must take \(cells, accuracies, seed\)"),
    ],
)
def test_what_cannot_be_fitted_is_refused_when_a_search_is_made(make_search, predictor, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        make_search(SPACE, predictor)
