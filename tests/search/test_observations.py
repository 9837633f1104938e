"""What a loop of one's own tells a search."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import numpy as np
import pytest

from pnas_sim.errors import SettingError
from pnas_sim.evaluate import Status
from pnas_sim.predict import make_predictor
from pnas_sim.search import Observations, Pnas
from pnas_sim.space import CellSpace


def test_shares_are_taken_as_they_are() -> None:
    for make in (Observations.ok, Observations.of):
        told = make([0, 0.5, 1])
        assert told.valid_accuracy.tolist() == [0.0, 0.5, 1.0]
        assert (told.status.tolist(), told.status.dtype, told.valid_accuracy.dtype) == ([0] * 3, "u1", "f8")
    assert len(Observations.ok([])) == 0


@pytest.mark.parametrize("make", [Observations.ok, Observations.of])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (0.5, r"the shape \(\); give one number a cell"),
        ([[0.5]], r"the shape \(1, 1\)"),
        ([0.5, 47.5], "accuracy 1 is 47.5; give shares from 0 to 1, no percentages"),
        ([-0.1], "accuracy 0 is -0.1"),
        (["high"], "accuracies are no numbers"),
        ([[0.5], [0.5, 0.6]], "accuracies are no numbers"),
    ],
)
def test_what_is_no_accuracy_is_refused(make: Any, given: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message) as refused:
        make(given)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_what_is_not_finite_failed_and_is_not_ok(value: float) -> None:
    told = Observations.of([0.5, value])
    assert told.status.tolist() == [Status.OK, Status.FAILED]
    np.testing.assert_array_equal(told.valid_accuracy, [0.5, nan])
    with pytest.raises(
        SettingError, match=r"accuracy 1 is no finite number; give shares .* or Observations.of"
    ):
        Observations.ok([0.5, value])


def test_a_search_that_was_told_wrongly_waits_for_the_right_answers() -> None:
    space = CellSpace(("sep3", "id"), 2)
    search = Pnas(space, make_predictor("ridge", space), beam=3)
    asked = search.ask(99)
    with pytest.raises(SettingError):
        search.tell(Observations.ok(np.full(len(asked), 47.0)))
    values = np.full(len(asked), 0.5)
    values[0] = nan
    search.tell(Observations.of(values))
    assert len(search.ask(99)) == 3
