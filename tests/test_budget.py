"""A budget's text says what it counts, and nothing else passes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnas_sim.budget import Budget
from pnas_sim.errors import SettingError


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("6000", Budget(models=6000)),
        ("1e9", Budget(models=10**9)),
        ("1e9ex", Budget(examples=1e9)),
        ("2.5e3 EX", Budget(examples=2500)),
        ("3h", Budget(seconds=10_800)),
        ("0.5h", Budget(seconds=1_800)),
        ("90m", Budget(seconds=5_400)),
        ("90min", Budget(seconds=5_400)),
        (" 45 s ", Budget(seconds=45)),
    ],
)
def test_models_examples_and_time(text: str, budget: Budget) -> None:
    assert Budget.parse(text) == budget


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "6000"),
        ("three", "1e9ex"),
        ("3 weeks", "3h"),
        ("-5", "6000"),
        ("nan", "6000"),
        ("inf", "6000"),
        ("1e999h", "90m"),
        ("1..2h", "90m"),
        ("h", "90m"),
        ("0", "whole and at least 1"),
        ("1.5", "whole and at least 1"),
        ("0h", "above 0"),
        ("0ex", "above 0"),
    ],
)
def test_what_is_no_budget_is_named_with_what_is_one(text: str, words: str) -> None:
    with pytest.raises(SettingError) as error:
        Budget.parse(text)
    assert f"budget is {text!r}" in str(error.value)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="0123456789.e+-xhmins ", max_size=8))
def test_any_text_is_a_budget_above_nothing_or_refused(text: str) -> None:
    try:
        budget = Budget.parse(text)
    except SettingError:
        return
    limits = [limit for limit in (budget.models, budget.examples, budget.seconds) if limit is not None]
    assert len(limits) == 1
    assert limits[0] > 0


@pytest.mark.parametrize("name", ["models", "examples", "seconds"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_limits_are_above_nothing(name: str, value: float) -> None:
    with pytest.raises(SettingError, match=f"budget of {name}"):
        Budget(**{name: value})


def test_a_whole_number_is_of_models_and_a_budget_stays_one() -> None:
    assert Budget.of(200) == Budget.of(np.int64(200)) == Budget(models=200)
    assert Budget.of(Budget(seconds=3.0)) == Budget(seconds=3.0)
    for value in ("200", 2.5, True, None):
        with pytest.raises(SettingError, match="give a Budget, or a number of models"):
            Budget.of(value)  # type: ignore[arg-type]
