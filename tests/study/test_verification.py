from __future__ import annotations

import math

import numpy as np
import pytest

from pnas_sim.errors import SettingError, WorkError
from pnas_sim.study.agreement import Agreement
from pnas_sim.study.resampling import Estimate
from pnas_sim.study.verification import Trained, Visit, choose_cells, describe_verification, judge


def visit(cell: str, group: str, run: str, observed: float) -> Visit:
    return Visit(cell, group, run, 0, observed, observed - 0.01)


VISITS = [
    *(visit(f"a{i}", "pnas", "one", 0.5 + i / 100) for i in range(10)),
    *(visit(f"b{i}", "pnas", "two", 0.4 + i / 100) for i in range(10)),
    *(visit(f"a{i}", "other", "three", 0.5 + i / 100) for i in range(5, 10)),
    *(visit(f"c{i}", "other", "three", 0.3 + i / 100) for i in range(10)),
]


def test_runs_take_turns_and_shared_cells_are_trained_once() -> None:
    choice = choose_cells(VISITS, ["pnas", "other"], 3, 0, set(), again=False)
    assert [(one.visit.cell, one.group, one.rank) for one in choice.chosen] == [
        ("a9", "pnas", 1),
        ("b9", "pnas", 2),
        ("a8", "pnas", 3),
        ("a7", "other", 1),
        ("a6", "other", 2),
        ("a5", "other", 3),
    ]
    assert choice.winners == {"pnas": 0, "other": 0}  # both would hand over a9


def test_trained_cells_are_left_out_unless_asked_for() -> None:
    choice = choose_cells(VISITS, ["pnas"], 2, 2, {"a9", "a0"}, again=False)
    assert [one.visit.cell for one in choice.chosen[:2]] == ["b9", "a8"]
    assert (choice.left_out, choice.winners) == (1, {"pnas": 0})
    assert not any(one.trained_before for one in choice.chosen)
    again = choose_cells(VISITS, ["pnas"], 2, 0, {"a9"}, again=True)
    assert [(one.visit.cell, one.trained_before) for one in again.chosen] == [("a9", True), ("b9", False)]


def test_a_cell_that_several_runs_met_stands_where_it_is_best_placed() -> None:
    """Of one that is first in both runs, the visit that was told more."""
    visits = [visit("x", "pnas", "one", 0.6), visit("x", "pnas", "two", 0.7), visit("y", "pnas", "one", 0.5)]
    choice = choose_cells(visits, ["pnas"], 1, 0, set(), again=False)
    assert [(one.visit.run, one.visit.observed) for one in choice.chosen] == [("two", 0.7)]
    both = choose_cells(visits, ["pnas"], 5, 0, set(), again=False).chosen
    assert [(one.visit.cell, one.visit.run) for one in both] == [("x", "two"), ("y", "one")]


def test_a_search_by_levels_hands_over_cells_of_its_last_level_and_then_of_the_one_before() -> None:
    """Smaller cells were told more; the run that did not grow by levels has no level that counts."""
    grown = [
        *(Visit(f"small{i}", "pnas", "one", 0, 0.8 + i / 100, 0.8, level=1) for i in range(3)),
        *(Visit(f"middle{i}", "pnas", "one", 0, 0.6 + i / 100, 0.6, level=2) for i in range(3)),
        *(Visit(f"large{i}", "pnas", "one", 0, 0.5 + i / 100, 0.5, level=3) for i in range(2)),
    ]
    other = [visit("c0", "other", "two", 0.9), visit("c1|c1", "other", "two", 0.1)]
    choice = choose_cells([*grown, *other], ["pnas", "other"], 3, 5, set(), again=False)
    top = [one.visit.cell for one in choice.chosen]
    assert top[:3] == ["large1", "large0", "middle2"]
    assert choice.winners == {"pnas": 0, "other": 3} and top[3] == "c0"
    assert {"small0", "small1", "small2"} < set(top[5:])  # the spread is of all sizes


def test_the_spread_leaves_trained_cells_out_unless_asked_for() -> None:
    known = {f"c{i}" for i in range(10)}
    spread = choose_cells(VISITS, ["pnas"], 1, 40, known, again=False).chosen[1:]
    assert {one.visit.cell for one in spread}.isdisjoint(known)
    assert len(spread) == 19 and {one.group for one in spread} == {"spread"}
    again = choose_cells(VISITS, ["pnas"], 1, 40, known, again=True).chosen[1:]
    assert sum(one.trained_before for one in again) == 10 and len(again) == 29


def test_the_spread_is_even_by_rank() -> None:
    visits = [visit(f"{i:03}", "pnas", "one", i / 100) for i in range(100)]
    choice = choose_cells(visits, [], 0, 4, set(), again=False)
    assert [one.visit.cell for one in choice.chosen] == ["012", "037", "062", "087"]
    assert len(choose_cells(visits, ["pnas"], 10, 500, set(), again=False).chosen) == 100


@pytest.mark.parametrize(
    ("top", "spread", "named"), [(-1, 0, "top is -1"), (0, -2, "spread is -2"), (0, 0, "no cell")]
)
def test_nothing_to_train_is_refused(top: int, spread: int, named: str) -> None:
    with pytest.raises(SettingError, match=named):
        choose_cells(VISITS, ["pnas"], top, spread, set(), again=False)


def agree(tau: tuple[float, float], bias: float) -> Agreement:
    value = (tau[0] + tau[1]) / 2
    return Agreement(
        20, Estimate(value, *tau), Estimate(value, *tau), Estimate(bias, bias - 0.01, bias + 0.01), 0.1
    )


@pytest.mark.parametrize(
    ("tau", "bias", "same", "believed"),
    [
        ((0.2, 0.8), 0.004, True, "yes"),
        ((0.2, 0.8), 0.02, True, "order only"),
        ((0.2, 0.8), -0.02, True, "yes"),
        ((0.2, 0.8), 0.0, False, "order only"),
        ((-0.2, 0.4), 0.0, True, "no"),
    ],
)
def test_the_verdict_asks_for_order_and_no_optimism(
    tau: tuple[float, float], bias: float, same: bool, believed: str
) -> None:
    word, verdict = judge({"all": agree(tau, 0.0), "top": agree(tau, bias)}, 0.005, same)
    assert word == believed
    assert ("another recipe" in verdict) == (not same)


@pytest.mark.parametrize(("bias", "believed"), [(-0.001, "yes"), (0.001, "order only")])
def test_one_seed_has_no_deviation_to_hold_optimism_against(bias: float, believed: str) -> None:
    word, verdict = judge({"all": agree((0.2, 0.8), bias), "top": agree((0.2, 0.8), bias)}, None, True)
    assert word == believed
    assert verdict.endswith("more than 0, as one seed has no deviation")


def verify(predicted: np.ndarray, by_seed: np.ndarray, known: set[str], confidence: float = 0.95) -> dict:
    """Nine cells of each group and two others, as they were told to the searches, trained again or not."""
    choice = choose_cells(VISITS, ["pnas", "other"], 9, 2, known, again=True)
    assert len(choice.chosen) == 20
    seeds = list(range(by_seed.shape[1]))
    return describe_verification(Trained(choice, predicted, by_seed, seeds, True, confidence, 15), {})


OBSERVED = np.array(
    [one.visit.observed for one in choose_cells(VISITS, ["pnas", "other"], 9, 2, set(), True).chosen]
)
BY_SEED = OBSERVED[:, None] + np.random.default_rng(0).normal(-0.03, 0.02, (20, 2))


def test_each_kind_of_guess_is_held_against_the_trainings_and_the_models_own_decides() -> None:
    """The searches were told what training finds; the model itself says the opposite."""
    predicted, means = 1 - OBSERVED, BY_SEED.mean(axis=1)
    result = verify(predicted, BY_SEED, set())
    guesses = {"predicted": predicted, "expected": OBSERVED - 0.01, "observed": OBSERVED}
    for kind, guess in guesses.items():
        found = result["agreement"][kind]
        assert found["all"]["bias"]["value"] == pytest.approx((guess - means).mean())
        assert found["top"]["cells"] == 18 and found["spread"]["cells"] == 2
        assert found["pnas"]["cells"] == found["other"]["cells"] == 9
    assert result["agreement"]["observed"]["all"]["kendall_tau"]["low"] > 0
    assert result["believed"] == "no"
    assert verify(OBSERVED, BY_SEED, set())["believed"] == "order only"


def test_intervals_are_as_sure_as_was_asked() -> None:
    by_seed = np.random.default_rng(0).normal(0.5, 0.05, (20, 4))
    results = [verify(OBSERVED, by_seed, set(), confidence) for confidence in (0.95, 0.5)]
    biases = [result["agreement"]["predicted"]["all"]["bias"] for result in results]
    for wide, narrow in (biases, [result["regret"]["pnas"] for result in results]):
        assert wide["low"] < narrow["low"] < narrow["high"] < wide["high"]


def test_notes_say_what_a_verification_cannot() -> None:
    assert verify(OBSERVED, BY_SEED, set())["notes"] == []
    (lucky,) = verify(OBSERVED, BY_SEED[:, :1], set())["notes"]
    assert lucky.startswith("one seed each")
    one_known = verify(OBSERVED, BY_SEED, {"a9"})
    assert not one_known["all_untrained_before"]
    assert [note.startswith("some cells were trained before") for note in one_known["notes"]] == [True]
    assert verify(OBSERVED, BY_SEED, set())["all_untrained_before"]


@pytest.mark.parametrize(
    ("whole", "top", "words"),
    [
        (True, True, "the surrogate orders cells as training does: {}; also among the top (tau"),
        (True, False, "orders cells as training does: {}; but among the top cells this is not shown (tau"),
        (False, False, "is not shown to order cells as training does: {}; nor among the top cells (tau"),
        (False, True, "is not shown to order cells as training does: {}; but among the top cells it is (tau"),
    ],
)
def test_order_among_the_top_is_told_to_fit_the_whole_order(whole: bool, top: bool, words: str) -> None:
    taus = {True: (0.2, 0.8), False: (-0.1, 0.5)}
    found = {"all": agree(taus[whole], 0.0), "top": agree(taus[top], 0.0)}
    believed, verdict = judge(found, 0.01, True)
    figures = f"Kendall tau {'0.50 [0.20, 0.80]' if whole else '0.20 [-0.10, 0.50]'} on 20 cells"
    assert words.format(figures) in verdict
    assert believed == ("yes" if whole else "no")


def test_failed_trainings_are_left_out_and_told() -> None:
    choice = choose_cells(VISITS, ["pnas"], 3, 0, set(), again=False)
    by_seed = np.array([[0.5, 0.6], [math.nan, math.nan], [0.4, math.nan]])
    result = describe_verification(Trained(choice, np.array([0.6, 0.6, 0.6]), by_seed, [0, 1], True), {})
    assert [one["trained"] for one in result["cells"]] == [pytest.approx(0.55), None, 0.4]
    assert result["agreement"]["predicted"]["top"]["bias"]["value"] == pytest.approx((0.05 + 0.2) / 2)
    assert result["agreement"]["predicted"]["spread"] is None
    assert result["notes"] == [
        "1 cells failed with every seed and are left out of all figures",
        "1 cells failed with some seeds: their means are of fewer trainings",
    ]
    assert [one["blocks"] for one in result["cells"]] == [1, 1, 1]
    assert result["believed"] == "no"
    with pytest.raises(WorkError, match="no cell was trained"):
        describe_verification(Trained(choice, np.zeros(3), np.full((3, 2), math.nan), [0, 1], True), {})
