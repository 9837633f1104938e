"""What a run came to, against figures worked out by hand."""

from __future__ import annotations

from math import nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from pnas_sim.evaluate import Evaluation, Status
from pnas_sim.ledger import Ledger
from pnas_sim.search import Proposals
from pnas_sim.space import CellSpace
from pnas_sim.summary import Level, RunResult, grows_by_levels, sum_up

SPACE = CellSpace(("sep3", "id", "max3"), 2)
ONES = SPACE.initial()
TWOS = SPACE.canonical(SPACE.sample(300, np.random.default_rng(0)))
TWOS = TWOS[SPACE.unique(TWOS)[0]]


def put(ledger: Ledger, cells: np.ndarray, values: list[float], **given: Any) -> None:
    """Enters a batch and answers the first `len(values)` of its new cells; NaN: failed."""
    entry = ledger.enter(Proposals(cells, **given), cells, 1.0)
    for place, value in zip(entry.places[entry.new], values, strict=False):
        status = Status.FAILED if np.isnan(value) else Status.OK
        text = SPACE.format(cells[list(entry.places).index(place)])
        ledger.add(
            int(place), Evaluation(cell=text, status=status, valid_accuracy=value, examples=5.0, seconds=0.5)
        )


def sum_of(*batches: tuple[np.ndarray, list[float], dict[str, Any]]) -> RunResult:
    ledger = Ledger(SPACE, 0.1, {})
    for cells, values, given_ in batches:
        put(ledger, cells, values, **given_)
    return sum_up(ledger, "budget", 1.5)


def test_a_run_by_hand() -> None:
    result = sum_of(
        (ONES[:4], [0.4, 0.1, nan, 0.3], {}),
        (ONES[2:4], [], {}),
        (TWOS[:7], [0.5, 0.7, 0.6, 0.2, 0.9, 0.8], {"candidates": 300, "unique": 200}),
        (TWOS[7:9], [0.1, nan], {}),
    )
    assert (result.models_evaluated, result.proposals, result.repeats, result.failed) == (12, 15, 2, 2)
    assert (result.examples, result.child_seconds, result.seconds) == (60.0, 6.0, 1.5)
    assert result.stopped == "budget"
    assert result.levels == (
        Level(1, 4, 4, 4, 0.4, pytest.approx(0.8 / 3), pytest.approx(0.8 / 3), None),
        Level(2, 300, 200, 8, 0.9, pytest.approx(0.7), pytest.approx(3.8 / 7), None),
    )
    assert len(result.evaluations) == 12


def test_predictions_are_compared_with_answers_of_their_own_level() -> None:
    guesses = np.array([0.1, 0.4, 0.3, 0.2, 0.9, 0.0])
    answers = [0.2, 0.1, 0.6, nan, 0.5]  # the fourth failed, the sixth was never answered
    (level,) = sum_of((TWOS[:6], answers, {"predicted": guesses})).levels
    kept = [0, 1, 2, 4]
    expected = spearmanr(guesses[kept], np.array(answers)[kept]).statistic
    assert level.rank_correlation == pytest.approx(expected)


def test_the_prediction_of_a_repeat_counts_too() -> None:
    guesses = np.array([0.1, 0.2, 0.3, 0.4])
    cells = TWOS[[0, 1, 2, 0]]
    (level,) = sum_of((cells, [0.1, 0.2, 0.3], {"predicted": guesses})).levels
    assert level.rank_correlation == pytest.approx(spearmanr(guesses, [0.1, 0.2, 0.3, 0.1]).statistic)


@pytest.mark.parametrize(
    ("guesses", "answers"),
    [
        ([0.5, 0.5, 0.5], [0.1, 0.2, 0.3]),
        ([0.1, 0.2, 0.3], [0.5, 0.5, 0.5]),
        ([0.1, 0.2, 0.3], [0.5, nan, nan]),
    ],
)
def test_there_is_no_correlation_of_constants_or_of_one(guesses: list[float], answers: list[float]) -> None:
    (level,) = sum_of((TWOS[:3], answers, {"predicted": np.array(guesses)})).levels
    assert level.rank_correlation is None


def test_a_level_whose_children_all_failed_has_no_accuracy() -> None:
    (level,) = sum_of((ONES[:2], [nan, nan], {})).levels
    assert level == Level(1, 2, 2, 2, None, None, None, None)


def test_nothing_is_nothing() -> None:
    result = sum_of()
    assert (result.models_evaluated, result.levels, result.examples) == (0, (), 0.0)


@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=40))
@settings(max_examples=40, deadline=None)
def test_top_means_are_of_the_best(values: list[float]) -> None:
    (level,) = sum_of((TWOS[: len(values)], values, {})).levels
    ranked = sorted(values, reverse=True)
    assert level.best_valid_accuracy == ranked[0]
    assert level.top5_valid_accuracy == pytest.approx(np.mean(ranked[:5]))
    assert level.top25_valid_accuracy == pytest.approx(np.mean(ranked[:25]))


@pytest.mark.parametrize(
    ("blocks", "grows"),
    [([1, 1, 2, 3], True), ([5, 5, 5], False), ([2, 1, 3], False), ([], False), ([1], False), ([2, 5], True)],
)
def test_grows_by_levels(blocks: list[int], grows: bool) -> None:
    assert grows_by_levels(np.array(blocks, np.int64)) is grows


def name_best(result: RunResult) -> str | None:
    return None if result.best is None else result.best.cell


def test_the_best_is_never_a_child_that_failed() -> None:
    mixed = sum_of((TWOS[:3], [nan, 0.4, 0.6], {}), (ONES[:3], [nan, 0.7, 0.7], {}))
    assert name_best(mixed) == SPACE.format(ONES[1])  # the first of equals
    assert mixed.best is not None and mixed.best.valid_accuracy == 0.7
    assert name_best(sum_of((ONES[:2], [nan, nan], {}))) is None
    assert name_best(sum_of()) is None


def test_the_best_of_a_search_that_grows_is_of_the_last_level_that_has_any() -> None:
    grown = sum_of((ONES[:2], [0.9, 0.8], {}), (TWOS[:3], [0.5, 0.6, nan], {}))
    assert name_best(grown) == SPACE.format(TWOS[1])
    assert name_best(sum_of((ONES[:2], [0.9, 0.8], {}), (TWOS[:2], [nan, nan], {}))) == SPACE.format(ONES[0])


def test_notes_say_how_many_failed_and_why() -> None:
    ledger = Ledger(SPACE, 0.1, {})
    errors = ["out of memory"] * 3 + ["killed", "", "", "late", "no", ""]
    ledger.enter(Proposals(ONES[:9]), ONES[:9], 1.0)
    for place, error in enumerate(errors):
        status = Status.OK if place == 8 else Status.FAILED
        ledger.add(place, Evaluation(cell="x", status=status, valid_accuracy=0.5, error=error))
    assert sum_up(ledger, "finished", 0.0).notes == (
        "8 of 9 children failed: out of memory (3); no reason given (2); killed (1); 2 other reasons",
    )
    assert sum_of((ONES[:2], [0.1, 0.2], {})).notes == ()
